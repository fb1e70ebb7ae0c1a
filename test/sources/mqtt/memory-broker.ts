import { Duplex } from 'node:stream';
import { Aedes, type AedesOptions } from 'aedes';
import type { Dial } from '../../../src/sources/mqtt/dial.ts';

/** What reached the broker, or what it said itself (the will). */
export interface Published {
  topic: string;
  payload: string;
  qos: number;
  retain: boolean;
}

/** A real broker (aedes) over memory instead of sockets, that can be killed and revived. */
export interface MemoryBroker {
  readonly dial: Dial;
  readonly aedes: Aedes;
  /** How often somebody dialled. */
  readonly dials: number;
  readonly published: Published[];
  /** Topics of each SUBSCRIBE. */
  readonly subscribed: string[][];
  /** How many connections are open. */
  readonly open: number;
  publish(topic: string, payload: string | Buffer, retain?: boolean): Promise<void>;
  /** Cuts every connection and lets nobody in. */
  kill(): void;
  /** Cuts every connection; the next one is welcome. */
  cut(): void;
  revive(): void;
  /** Everything written to the broker from now on goes nowhere: it lives, and does not answer. */
  deafen(): void;
  close(): Promise<void>;
}

export async function createMemoryBroker(options: AedesOptions = {}): Promise<MemoryBroker> {
  const aedes = await Aedes.createBroker({ heartbeatInterval: 3_600_000, ...options });
  const ends = new Set<Duplex>();
  const published: Published[] = [];
  const subscribed: string[][] = [];
  let alive = true;
  let deaf = false;
  let dials = 0;

  aedes.on('publish', ({ topic, payload, qos, retain }) => {
    if (!topic.startsWith('$')) published.push({ topic, payload: payload.toString(), qos, retain });
  });
  aedes.on('subscribe', (subscriptions) => subscribed.push(subscriptions.map(({ topic }) => topic)));
  const cut = (): void => {
    for (const end of [...ends]) end.destroy();
  };

  return {
    aedes,
    published,
    subscribed,
    get dials() {
      return dials;
    },
    get open() {
      return ends.size;
    },
    async dial() {
      dials += 1;
      if (!alive)
        throw Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1883'), { code: 'ECONNREFUSED' });
      const [ours, theirs] = createPair(() => deaf);
      ends.add(theirs);
      theirs.on('close', () => ends.delete(theirs));
      aedes.handle(theirs);
      return ours;
    },
    publish: (topic, payload, retain = false) =>
      new Promise((resolve, reject) => {
        aedes.publish(
          { cmd: 'publish', topic, payload: Buffer.from(payload as string), qos: 0, retain, dup: false },
          (error) => (error ? reject(error) : resolve()),
        );
      }),
    kill() {
      alive = false;
      cut();
    },
    cut,
    revive() {
      alive = true;
      deaf = false;
    },
    deafen() {
      deaf = true;
    },
    async close() {
      cut();
      await new Promise<void>((resolve) => aedes.close(() => resolve()));
    },
  };
}

/** Two streams, each of which reads what the other writes; when one closes, so does the other. */
export function createPair(deaf: () => boolean = () => false): [ours: Duplex, theirs: Duplex] {
  const make = (other: () => Duplex, blocked: () => boolean): Duplex =>
    new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        if (!blocked()) other().push(chunk);
        setImmediate(done);
      },
      final(done) {
        other().push(null);
        done();
      },
      destroy(error, done) {
        setImmediate(() => other().destroy());
        done(error);
      },
    });
  const ours: Duplex = make(() => theirs, deaf);
  const theirs: Duplex = make(
    () => ours,
    () => false,
  );
  return [ours, theirs];
}

import {
  createDigestClient,
  createRegistration,
  createRequest,
  createStack,
  createSubscription,
  createUdpTransport,
  type EventDeps,
  parseUri,
  type Target,
} from 'tiny-sip';
import type { Clock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import type { Random } from '../../src/base/random.ts';

/** Somebody with a softphone: watches, writes messages and gets answers, over a real UDP socket. */
export interface Person {
  readonly aor: string;
  /** Resolves when the registration stands, so that answers find their way. */
  arrive(): Promise<void>;
  /** Calls with the document of each NOTIFY; an empty one means that there is no publication. */
  watch(resource: string, onDocument: (document: string) => void): void;
  /** Sends a text; resolves with the status of the answer to the MESSAGE itself. */
  say(to: string, text: string): Promise<number>;
  /** Calls with every MESSAGE that arrives. */
  onMessage(listener: (from: string, text: string) => void): void;
  leave(): Promise<void>;
}

export interface PersonOptions {
  aor: string;
  password: string;
  server: Target;
}

export async function createPerson(
  deps: { clock: Clock; random: Random },
  options: PersonOptions,
): Promise<Person> {
  const { clock, random } = deps;
  const { aor, password, server } = options;
  const log = silentLog;
  const transport = createUdpTransport({ clock, log }, { host: '127.0.0.1', port: 0 });
  const stack = createStack({ clock, random, log }, { transports: [transport] });
  await stack.start();
  const username = parseUri(aor).user ?? '';
  const credentials = createDigestClient({ random }, { username, password });
  const way = () => ({ target: server });
  const eventDeps: EventDeps = { stack, clock, random, log };
  const listeners: ((from: string, text: string) => void)[] = [];
  const endings: (() => Promise<void>)[] = [];

  stack.on('MESSAGE', (incoming) => {
    incoming.respond(200);
    for (const listener of listeners) listener(incoming.request.from?.uri ?? '', incoming.request.text());
  });

  return {
    aor,
    arrive: () =>
      new Promise((resolve, reject) => {
        const registration = createRegistration(eventDeps, {
          aor,
          way,
          credentials,
          onState: (state) => {
            if (state.kind === 'registered') resolve();
            if (state.kind === 'refused') reject(new Error(`${aor} may not register: ${state.cause.reason}`));
          },
        });
        endings.push(() => registration.remove());
        registration.start();
      }),
    watch(resource, onDocument) {
      const subscription = createSubscription(eventDeps, {
        resource,
        from: aor,
        accept: ['application/pidf+xml'],
        way,
        credentials,
        onNotify: (notify) => {
          onDocument(notify.body.toString('utf8'));
          return undefined;
        },
      });
      endings.unshift(() => subscription.unsubscribe());
      subscription.start();
    },
    async say(to, text) {
      const request = createRequest({
        method: 'MESSAGE',
        uri: to,
        headers: { From: `<${aor}>`, To: `<${to}>`, 'Content-Type': 'text/plain' },
        body: text,
      });
      const outcome = await stack.send(request, { target: server, credentials });
      if (outcome.kind === 'response') return outcome.response.status;
      throw new Error(outcome.kind === 'timeout' ? 'nobody answered the message' : outcome.error.message);
    },
    onMessage: (listener) => void listeners.push(listener),
    async leave() {
      for (const end of endings) await end();
      await stack.stop();
    },
  };
}

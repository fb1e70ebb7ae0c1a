/**
 * The whole product among real programs: a presence server (Kamailio or our own edge), a mosquitto, a serial line by
 * socat, the built agent, and a phone that watches and chats.
 */
import { type EdgeProgram, type Gateway, startEdge, startGateway } from '../support/peers/gateway.ts';
import { type Kamailio, type KamailioOptions, startKamailio } from '../support/peers/kamailio.ts';
import { MOSQUITTO, type Mosquitto, startMosquitto } from '../support/peers/mosquitto.ts';
import { createPhone, type Notification, type Phone } from '../support/peers/phone.ts';
import { type SerialPair, SOCAT, startSerialPair } from '../support/peers/socat.ts';
import { startTap, TAP_HOST, type Tap } from '../support/peers/tap.ts';
import { tuplesOf } from '../support/peers/tuples.ts';

export type ServerKind = 'kamailio' | 'edge';

export const GATEWAY = 'sip:gateway7@test.local';
export const LAMP = 'sip:lamp@test.local';
export const ALICE = 'sip:alice@test.local';
/** Devices of the gateway's own presentity. */
export const DEVICES = ['freezer', 'door', 'relay'] as const;

const USERS = { alice: 'wonder', mallory: 'evil', gateway7: 'pump', lamp: 'light' };

export interface Scene {
  kind: ServerKind;
  kamailio: Kamailio | undefined;
  edge: EdgeProgram | undefined;
  /** The wire between agent and server. */
  tap: Tap;
  broker: Mosquitto;
  board: SerialPair;
  gateway: Gateway;
  /** Registered; watches nothing yet. */
  alice: Phone;
  phone(user: keyof typeof USERS): Promise<Phone>;
  /** Watches the gateway from now on, and answers once every device was seen. */
  watch(): Promise<Notification>;
}

export interface SceneOptions {
  kind: ServerKind;
  kamailio?: KamailioOptions;
  publish?: 'auto' | 'diff' | 'segments' | 'full';
  detail?: 'lean' | 'full';
  /** Of the edge, in seconds; its own default is 5. */
  notifyInterval?: number;
  /** Whether the broker runs when the agent starts. */
  broker?: boolean;
  /** Done before the agent starts. */
  before?: (things: { broker: Mosquitto; board: SerialPair }) => Promise<void>;
}

/** Programs that such a scene drives. */
export function needs(kind: ServerKind, ...more: readonly string[]): string[] {
  return [...(kind === 'kamailio' ? ['kamailio'] : []), ...MOSQUITTO, SOCAT, ...more];
}

export async function scene(options: SceneOptions, body: (scene: Scene) => Promise<void>): Promise<void> {
  const { kind } = options;
  const ends: (() => void | Promise<void>)[] = [];
  const later = <T>(thing: T, end: (thing: T) => void | Promise<void>): T => {
    ends.push(() => end(thing));
    return thing;
  };
  try {
    const kamailio =
      kind === 'kamailio'
        ? later(await startKamailio({ users: USERS, ...options.kamailio }), (one) => one.stop())
        : undefined;
    const edge =
      kind === 'edge'
        ? later(await startEdge(USERS, { notifyInterval: options.notifyInterval ?? 1 }), (one) => one.stop())
        : undefined;
    const port = kamailio?.port ?? edge?.port ?? 0;
    const tap = later(await startTap(port), (one) => one.close());
    const broker = later(await startMosquitto(), (one) => one.stop());
    if (options.broker === false) await broker.kill();
    const board = later(await startSerialPair(), (one) => one.stop());
    await options.before?.({ broker, board });
    const phone = async (user: keyof typeof USERS): Promise<Phone> => {
      const one = await createPhone({
        user,
        password: USERS[user],
        domain: 'test.local',
        port,
        protocol: 'tcp',
      });
      ends.push(() => one.close());
      const answer = await one.register();
      if (answer.status !== 200) throw new Error(`${user} cannot register: ${answer.first}`);
      return one;
    };
    const alice = await phone('alice');
    const gateway = later(
      startGateway({
        config: configuration({ ...options, tap: tap.port, broker: broker.url, port: board.port }),
        files: { 'gateway.secret': USERS.gateway7, 'lamp.secret': USERS.lamp },
      }),
      (one) => one.stop(),
    );
    await body({
      kind,
      kamailio,
      edge,
      tap,
      broker,
      board,
      gateway,
      alice,
      phone,
      async watch() {
        const answer = await alice.subscribe(GATEWAY);
        if (answer.status !== 200) throw new Error(`alice cannot subscribe: ${answer.first}`);
        return alice.notified((one) => one.aor === GATEWAY && complete(one.body), 15_000);
      },
    });
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

/** Whether a document tells of every device. */
export function complete(document: string): boolean {
  const tuples = tuplesOf(document);
  return DEVICES.every((device) => tuples.has(device));
}

/** A test for notifications: the gateway's, in which this device has this note. */
export function says(device: string, note: string | RegExp): (one: Notification) => boolean {
  return (one) => {
    const said = tuplesOf(one.body).get(device)?.note;
    return said !== undefined && (typeof note === 'string' ? said === note : note.test(said));
  };
}

/** Documents that the agent sent, in order: the bodies of its PUBLISHes. */
export function published(tap: Tap): { contentType: string; body: string }[] {
  return tap.heard.seen
    .filter(
      ({ direction, message }) => direction === 'out' && message.method === 'PUBLISH' && message.body !== '',
    )
    .map(({ message }) => ({
      contentType: message.headers.find(([name]) => name === 'content-type')?.[1] ?? '',
      body: message.body,
    }));
}

/** Resolves once the agent has made up its mind to publish in this way. */
export async function decided(gateway: Gateway, strategy: string, ms = 15_000): Promise<void> {
  const end = performance.now() + ms;
  for (;;) {
    const status = JSON.stringify(await gateway.status());
    if (status.includes(`"strategy":"${strategy}"`)) return;
    if (performance.now() > end) throw new Error(`not ${strategy} within ${ms} ms: ${status}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** Says it again and again while `body` runs: a subscriber that comes late misses what was said before. */
export async function saying<T>(say: () => Promise<void>, body: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => void say().catch(() => {}), 300);
  try {
    return await body();
  } finally {
    clearInterval(timer);
  }
}

/** Resolves once the phone was not notified for `ms`. */
export async function lull(phone: Phone, ms: number): Promise<void> {
  for (;;) {
    const last = phone.notifications.at(-1)?.at ?? Number.NEGATIVE_INFINITY;
    const left = last + ms - performance.now();
    if (left <= 0) return;
    await new Promise((resolve) => setTimeout(resolve, left + 5));
  }
}

function configuration(
  options: Pick<SceneOptions, 'publish' | 'detail'> & { tap: number; broker: string; port: string },
): string {
  return `version: 1
accounts:
  main:
    aor: ${GATEWAY}
    password_file: gateway.secret
    registrar: sip:test.local
    outbound_proxy: "sip:${TAP_HOST}:${options.tap};transport=tcp"
    publish: ${options.publish ?? 'auto'}
    detail: ${options.detail ?? 'lean'}
sources:
  plant: { type: mqtt, url: "${options.broker}" }
  board: { type: serial, port: ${options.port}, baud: 115200 }
devices:
  freezer:
    name: Freezer 2
    signals:
      temperature: { source: plant, topic: cold/freezer2, path: temp, unit: Cel, deadband: 0.2, stale: 5m }
    states:
      - { when: "temperature > -10", note: "too warm, {temperature} °C" }
      - { note: "{temperature} °C" }
  door:
    signals:
      door: { source: board, match: '^DOOR=(open|shut)$', stale: 1h }
    states:
      - { when: "door == open", note: "open" }
      - { note: "shut" }
  relay:
    signals:
      on: { source: board, match: '^RELAY=(on|off)$', values: [on, off], write: "RELAY={value}\\n", stale: 1h }
    states:
      - { note: "{on}" }
  lamp:
    aor: ${LAMP}
    password_file: lamp.secret
    signals:
      on: { source: plant, topic: lamp/state, write: { topic: lamp/set }, values: [true, false], stale: 1h }
    states:
      - { when: "on == true", activity: busy, note: "on" }
      - { note: "off" }
commands:
  - { from: "${ALICE}", verbs: [help, status, get, set, refresh] }
`;
}

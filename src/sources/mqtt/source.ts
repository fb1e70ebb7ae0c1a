import { isDeepStrictEqual } from 'node:util';
import { type Backoff, createBackoff } from '../../base/backoff.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import { asError, type CodedError, isCoded } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Part } from '../../base/part.ts';
import type { Random } from '../../base/random.ts';
import type { Actuator, SourceSink } from '../../device/reading.ts';
import { formatSpan } from '../../device/template.ts';
import { wireText } from '../../device/values.ts';
import { sourceErrors } from '../errors.ts';
import { createLink } from '../link.ts';
import { bounded, fillWrite, writableBinding } from '../write.ts';
import { type Bindings, createBindings, type MessageCounts, subscriptionChanges } from './bindings.ts';
import {
  type ClientClass,
  type Connection,
  type ConnectionOptions,
  loadClient,
  openConnection,
} from './connection.ts';
import { type Dial, readBrokerUrl, systemDial } from './dial.ts';
import type { MqttBinding, MqttSourceOptions } from './options.ts';
import { type Broker, isPermanent } from './refusal.ts';
import { checkTopic } from './topics.ts';

const KEEPALIVE = 30_000;
const CONNECT_TIMEOUT = 15_000;
const MAX_PAYLOAD = 65_536;
const WRITE_TIMEOUT = 5_000;
/** A packet may be so many times larger than a payload of interest before the connection is cut for it. */
const PACKET_FACTOR = 16;
/** How many writes may wait for their acknowledgement. */
const MAX_WRITES = 32;
/** The least wait after a refusal that only people can mend. */
const PERMANENT_WAIT = 30_000;
/** So many short connections within this time look like two clients of one id. */
const TAKEOVERS = 3;
const TAKEOVER_WINDOW = 60_000;

export type MqttCounts = Readonly<MessageCounts> & {
  readonly connects: number;
  readonly losses: number;
  readonly writes: number;
  /** Subscriptions that the broker refuses. */
  readonly refused: number;
};

export interface MqttSource extends Part<MqttSourceOptions>, Actuator {
  counts(): MqttCounts;
}

/**
 * Reads signals from, and writes them to, an MQTT broker. A broker that is not there is a state, not an error: it is
 * tried for ever with full-jitter back-off.
 * @throws CodedError SRC_BAD_URL, SRC_BAD_TOPIC, SRC_BAD_PATH
 */
export function createMqttSource(
  deps: { clock: Clock; log: Log; random: Random; dial?: Dial; loadClient?: () => Promise<ClientClass> },
  options: MqttSourceOptions,
  sink: SourceSink,
): MqttSource {
  const { clock, log } = deps;
  const { target, username, password } = readBrokerUrl(options.url, options.tls);
  const broker: Broker = {
    name: `${target.host}:${target.port}`,
    clientId: options.clientId,
    protocolVersion: options.protocolVersion ?? 4,
  };
  const maxPayload = options.maxPayload ?? MAX_PAYLOAD;
  const status = options.statusTopic;
  const connectionOptions: ConnectionOptions = {
    broker,
    target,
    username: options.username ?? username,
    password: options.password ?? password,
    keepalive: options.keepalive ?? KEEPALIVE,
    connectTimeout: options.connectTimeout ?? CONNECT_TIMEOUT,
    maxPacket: maxPayload * PACKET_FACTOR,
    will: status === undefined ? undefined : { topic: status, payload: 'offline' },
  };
  if (status !== undefined) checkTopic(status);

  const counts = {
    ...{ connects: 0, losses: 0, writes: 0, refused: 0 },
    ...{ messages: 0, readings: 0, oversize: 0, bad: 0, absent: 0 },
  };
  const bindingsOf = (list: readonly MqttBinding[]): Bindings =>
    createBindings({ log, counts }, { bindings: list, maxPayload });
  let current = options;
  let bindings = bindingsOf(options.bindings);
  let Client: ClientClass | undefined;
  let connection: Connection | undefined;
  let retry: Timer | undefined;
  let stopping = false;
  let ended: (() => void) | undefined;
  let writing = 0;
  /** When short connections were lost without a reason. */
  let losses: number[] = [];
  let openedAt: number | undefined;
  let birthError: CodedError | undefined;
  const backoff: Backoff = createBackoff({ clock, random: deps.random });
  const link = createLink({ log, sink }, { source: options.id, name: `broker ${broker.name}` });

  const attempt = (): void => {
    retry = undefined;
    if (stopping || !Client) return;
    const mine: Connection = openConnection(
      { clock, dial: deps.dial ?? systemDial, Client },
      connectionOptions,
      {
        open: () => void opened(mine),
        message: receive,
        closed: (error) => closed(error),
      },
    );
    connection = mine;
  };

  /** Birth, then subscriptions, then up: at every connection, since a broker that restarted remembers nothing. */
  const opened = async (mine: Connection): Promise<void> => {
    openedAt = clock.now();
    counts.connects += 1;
    try {
      birthError = undefined;
      if (status !== undefined) {
        mine.publish(status, 'online', { qos: 1, retain: true }).catch((error: unknown) => {
          birthError = coded(error);
          if (link.up) link.toDegraded(birthError);
        });
      }
      const refused = await bounded(
        mine.subscribe(bindings.subscriptions),
        clock,
        connectionOptions.connectTimeout,
        () =>
          sourceErrors.BROKER_SILENT({
            broker: broker.name,
            limit: formatSpan(connectionOptions.connectTimeout),
          }),
      );
      if (connection !== mine || stopping) return;
      link.toUp();
      backoff.up();
      tellRefused(refused);
    } catch (error) {
      mine.cut(coded(error));
    }
  };

  const tellRefused = (topics: readonly string[]): void => {
    counts.refused = topics.length;
    const shown = topics.slice(0, 3).join(', ') + (topics.length > 3 ? ` and ${topics.length - 3} more` : '');
    link.toDegraded(
      topics.length === 0
        ? birthError
        : sourceErrors.SUBSCRIPTION_REFUSED({ broker: broker.name, topics: shown }),
    );
  };

  const closed = (error: CodedError): void => {
    connection = undefined;
    const lived = openedAt === undefined ? undefined : clock.now() - openedAt;
    openedAt = undefined;
    if (stopping) {
      ended?.();
      return;
    }
    if (link.up) counts.losses += 1;
    backoff.down();
    const why = lived === undefined ? error : takeover(error, lived);
    link.toDown(why);
    const wait = Math.max(isPermanent(why) ? PERMANENT_WAIT : 0, backoff.next());
    retry = clock.after(wait, attempt);
  };

  /** MQTT 3.1.1 has no word for it: the broker just closes the older of two clients of one id. */
  const takeover = (error: CodedError, lived: number): CodedError => {
    if (!sourceErrors.BROKER_LOST.is(error) || lived > TAKEOVER_WINDOW / TAKEOVERS) return error;
    const now = clock.now();
    losses = [...losses.filter((at) => now - at < TAKEOVER_WINDOW), now];
    if (losses.length < TAKEOVERS) return error;
    losses = losses.slice(1);
    return sourceErrors.BROKER_TAKEOVER({ broker: broker.name, clientId: broker.clientId }, error);
  };

  const receive = (topic: string, bytes: Buffer, retained: boolean): void => {
    const readings = bindings.read(topic, bytes, retained, clock.now());
    if (readings.length > 0) sink.readings(readings);
  };

  const coded = (thrown: unknown): CodedError =>
    isCoded(thrown)
      ? thrown
      : sourceErrors.BROKER_LOST({ broker: broker.name, cause: asError(thrown).message }, thrown);

  return {
    async start(abort) {
      if (abort.aborted) return;
      Client = await (deps.loadClient ?? loadClient)();
      if (!abort.aborted) attempt();
    },

    async stop(deadline) {
      stopping = true;
      retry?.cancel();
      const mine = connection;
      if (!mine) return;
      const over = new Promise<void>((resolve) => {
        ended = resolve;
      });
      const limit = clock.after(Math.max(0, deadline - clock.now()), () =>
        mine.cut(sourceErrors.BROKER_LOST({ broker: broker.name, cause: 'stopped' })),
      );
      if (status !== undefined && link.up) {
        // The will is for the sudden end; a clean one says it itself.
        await mine.publish(status, 'offline', { qos: 1, retain: true }).catch(() => {
          // The connection is gone, and the will speaks.
        });
      }
      mine.end();
      await over;
      limit.cancel();
    },

    update(next) {
      if (isDeepStrictEqual(next, current)) return 'applied';
      if (!isDeepStrictEqual({ ...next, bindings: [] }, { ...current, bindings: [] })) return 'restart';
      const before = bindings;
      bindings = bindingsOf(next.bindings);
      current = next;
      const mine = connection;
      if (!mine || !link.up) return 'applied';
      const { gone, changed } = subscriptionChanges(before, bindings);
      mine
        .unsubscribe(gone)
        .then(() => mine.subscribe(changed))
        .then(tellRefused)
        .catch((error: unknown) => mine.cut(coded(error)));
      return 'applied';
    },

    async write(writeTarget, value, abort) {
      const binding = writableBinding(bindings.byKey, writeTarget);
      if (!link.up || !connection)
        throw sourceErrors.NOT_UP({
          source: options.id,
          cause: link.error?.message ?? `broker ${broker.name} is not up yet`,
        });
      if (writing >= MAX_WRITES) throw sourceErrors.WRITES_FULL({ source: options.id, count: writing });
      const { topic, payload = '{value}', qos = 0 } = binding.write;
      const limit = options.writeTimeout ?? WRITE_TIMEOUT;
      const { device, signal } = binding;
      counts.writes += 1;
      writing += 1;
      try {
        const text = fillWrite(payload, wireText(value, binding.values));
        await bounded(
          connection.publish(topic, text, { qos, retain: false }),
          clock,
          limit,
          () => sourceErrors.WRITE_TIMEOUT({ device, signal, limit: formatSpan(limit) }),
          abort,
        );
      } catch (error) {
        if (abort.aborted || sourceErrors.WRITE_TIMEOUT.is(error)) throw error;
        throw sourceErrors.WRITE_FAILED({ device, signal, cause: asError(error).message }, error);
      } finally {
        writing -= 1;
      }
    },

    health: () => link.health(),
    counts: () => ({ ...counts }),
  };
}

/**
 * One connection to a broker, from the socket to its end. Each attempt makes a client of its own, so nothing of an
 * old connection (listeners, queued packets, unacknowledged writes) lives on in the next.
 */
import type { Duplex } from 'node:stream';
import type { IClientOptions, ISubscriptionGrant, MqttClient } from 'mqtt';
import type { Clock, Timer } from '../../base/clock.ts';
import { asError, type CodedError } from '../../base/errors.ts';
import { formatSpan } from '../../device/template.ts';
import { sourceErrors } from '../errors.ts';
import type { Dial, Target } from './dial.ts';
import { createPacketMeter } from './meter.ts';
import { type Broker, reasonError, socketError } from './refusal.ts';

export type ClientClass = new (build: () => Duplex, options: IClientOptions) => MqttClient;

export interface Subscription {
  readonly topic: string;
  readonly qos: 0 | 1 | 2;
}

export interface Connection {
  /** Resolves when acknowledged, with QoS 0 when handed to the socket. */
  publish(topic: string, payload: string, options: { qos: 0 | 1 | 2; retain: boolean }): Promise<void>;
  /** Subscribes; resolves with the topics that the broker refused. */
  subscribe(subscriptions: readonly Subscription[]): Promise<string[]>;
  unsubscribe(topics: readonly string[]): Promise<void>;
  /** Says DISCONNECT, so that the will stays unsaid, and closes. */
  end(): void;
  /** Cuts it, with this as the error. */
  cut(error: CodedError): void;
}

export interface ConnectionEvents {
  /** The broker has let us in. */
  open(): void;
  message(topic: string, payload: Buffer, retained: boolean): void;
  /** Once, as the last event. */
  closed(error: CodedError): void;
}

export interface ConnectionOptions {
  readonly broker: Broker;
  readonly target: Target;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** Milliseconds. */
  readonly keepalive: number;
  readonly connectTimeout: number;
  readonly maxPacket: number;
  readonly will: { topic: string; payload: string } | undefined;
}

/** How many topics go into one SUBSCRIBE. */
const BATCH = 64;

/** How long a clean end may take, in milliseconds. */
const END_LIMIT = 1_000;

/** Longer than any connection attempt: the client's own limit never strikes, ours does, on the injected clock. */
const NEVER = 2 ** 31 - 1;

/** Loads the client. Its package is CommonJS, which every loader and bundler wraps in its own way. */
export async function loadClient(): Promise<ClientClass> {
  // The client alone: the package's front door also loads WebSocket and SOCKS.
  let found: unknown = await import('mqtt/lib/client');
  while (typeof found === 'object' && found !== null && 'default' in found) found = found.default;
  return found as ClientClass;
}

/** Opens a connection. */
export function openConnection(
  deps: { clock: Clock; dial: Dial; Client: ClientClass },
  options: ConnectionOptions,
  events: ConnectionEvents,
): Connection {
  const { clock, dial, Client } = deps;
  const { broker, connectTimeout, will } = options;
  let client: MqttClient | undefined;
  let stream: Duplex | undefined;
  let reached = false;
  let failure: CodedError | undefined;
  let over = false;
  /** Those who wait for an answer that a closed connection will not give. */
  const waiting = new Set<(error: CodedError) => void>();

  const fail = (error: CodedError): void => {
    failure ??= error;
    if (stream) stream.destroy();
    else finish();
  };

  const finish = (): void => {
    if (over) return;
    over = true;
    limit.cancel();
    const error = failure ?? socketError(broker, new Error('connection closed'), reached);
    for (const reject of [...waiting]) reject(error);
    events.closed(error);
  };

  let limit: Timer = clock.after(connectTimeout, () => {
    const connecting = !stream || ('connecting' in stream && stream.connecting === true);
    fail(
      connecting
        ? sourceErrors.BROKER_UNREACHABLE({ broker: broker.name, cause: 'timed out' })
        : sourceErrors.BROKER_SILENT({ broker: broker.name, limit: formatSpan(connectTimeout) }),
    );
  });

  const begin = (opened: Duplex): void => {
    stream = opened;
    stream.on('error', (error) => {
      failure ??= socketError(broker, error, reached);
    });
    if (over) {
      stream.destroy();
      return;
    }
    stream.on(
      'data',
      createPacketMeter(options.maxPacket, (bytes) =>
        fail(sourceErrors.BROKER_PACKET({ broker: broker.name, bytes })),
      ),
    );
    client = new Client(() => opened, clientOptions(clock, options));
    client.on('error', (error) => {
      const reason = 'code' in error && typeof error.code === 'number' ? error.code : undefined;
      fail(reason === undefined ? socketError(broker, error, reached) : reasonError(broker, reason));
    });
    client.on('disconnect', (packet) => {
      // MQTT 5 §3.14.4: whoever got DISCONNECT closes the connection, if the other has not.
      fail(
        packet.reasonCode
          ? reasonError(broker, packet.reasonCode)
          : socketError(broker, new Error('it said goodbye'), true),
      );
    });
    client.on('connect', () => {
      limit.cancel();
      reached = true;
      events.open();
    });
    client.on('message', (topic, payload, packet) => {
      if (!over) events.message(topic, payload, packet.retain);
    });
    client.on('close', finish);
    client.connect();
  };

  dial(options.target).then(begin, (error: unknown) => {
    failure ??= socketError(broker, error, false);
    finish();
  });

  /** A promise for an answer of the broker; a connection that closes rejects it. */
  const ask = <T>(
    start: (client: MqttClient, done: (error: unknown, value: T) => void) => void,
  ): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      if (over || !client || !reached) {
        reject(failure ?? sourceErrors.BROKER_LOST({ broker: broker.name, cause: 'not connected' }));
        return;
      }
      waiting.add(reject);
      start(client, (error, value) => {
        waiting.delete(reject);
        if (error) reject(asError(error));
        else resolve(value);
      });
    });

  const subscribeBatch = async (topics: string[], qos: 0 | 1 | 2): Promise<string[]> => {
    const granted = await ask<readonly number[]>((asked, done) =>
      asked.subscribe(topics, { qos }, (error, _grants: ISubscriptionGrant[] | undefined, packet) => {
        const codes = packet?.granted as readonly number[] | undefined;
        // A refusal comes as an error too, but with the answer to each topic.
        done(codes ? undefined : (error ?? new Error('no answer')), codes ?? []);
      }),
    );
    return topics.filter((_topic, index) => (granted[index] ?? 0x80) >= 0x80);
  };

  return {
    publish: (topic, payload, { qos, retain }) =>
      ask<unknown>((asked, done) => asked.publish(topic, payload, { qos, retain }, done)).then(() => {}),
    async subscribe(subscriptions) {
      const refused: string[] = [];
      for (const qos of [0, 1, 2] as const) {
        const topics = subscriptions.filter((one) => one.qos === qos).map((one) => one.topic);
        for (let at = 0; at < topics.length; at += BATCH)
          refused.push(...(await subscribeBatch(topics.slice(at, at + BATCH), qos)));
      }
      return refused;
    },
    async unsubscribe(topics) {
      for (let at = 0; at < topics.length; at += BATCH)
        await ask<unknown>((asked, done) => asked.unsubscribe(topics.slice(at, at + BATCH), done));
    },
    end() {
      const stopped = sourceErrors.BROKER_LOST({ broker: broker.name, cause: 'stopped' });
      if (!client || !reached || over) {
        fail(stopped);
        return;
      }
      // The client first waits for every acknowledgement that is due, even of a broker that has gone silent.
      limit = clock.after(END_LIMIT, () => fail(stopped));
      client.end();
    },
    cut: fail,
  };

  function clientOptions(time: Clock, from: ConnectionOptions): IClientOptions {
    return {
      manualConnect: true,
      clientId: broker.clientId,
      protocolVersion: broker.protocolVersion,
      clean: true,
      keepalive: Math.max(1, Math.round(from.keepalive / 1_000)),
      // Reconnecting is ours: with full jitter, and reset only after a stable minute.
      reconnectPeriod: 0,
      resubscribe: false,
      // A write that cannot leave now is refused, not done when nobody expects it any more.
      queueQoSZero: false,
      // Otherwise mqtt-packet builds 65,536 Buffers before its first packet.
      writeCache: false,
      connectTimeout: NEVER,
      timerVariant: intervals(time),
      ...(from.username !== undefined && { username: from.username }),
      ...(from.password !== undefined && { password: from.password }),
      ...(broker.protocolVersion === 5 && { properties: { maximumPacketSize: from.maxPacket } }),
      ...(will && { will: { topic: will.topic, payload: Buffer.from(will.payload), qos: 1, retain: true } }),
    };
  }
}

/** Repeating timers for the client's keep-alive: native ones, on the injected clock. */
function intervals(clock: Clock): { set(run: () => void, ms: number): number; clear(id: number): void } {
  const running = new Map<number, Timer>();
  let last = 0;
  return {
    set(run, ms) {
      last += 1;
      const id = last;
      const arm = (): void => {
        running.set(
          id,
          clock.after(ms, () => {
            arm();
            run();
          }),
        );
      };
      arm();
      return id;
    },
    clear(id) {
      running.get(id)?.cancel();
      running.delete(id);
    },
  };
}

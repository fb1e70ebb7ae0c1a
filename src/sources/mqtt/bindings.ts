import type { Log } from '../../base/log.ts';
import type { Reading } from '../../device/reading.ts';
import { bindingKey } from '../write.ts';
import type { Subscription } from './connection.ts';
import type { MqttBinding } from './options.ts';
import { type Path, parsePath } from './path.ts';
import { createPayload } from './payload.ts';
import { checkFilter, checkTopic, createTopicIndex } from './topics.ts';

/** What came of messages, counted over the life of a source. */
export interface MessageCounts {
  messages: number;
  readings: number;
  /** Messages dropped for their size. */
  oversize: number;
  /** Payloads that could not be read for a binding. */
  bad: number;
  /** Payloads that held nothing for a binding, which is no fault. */
  absent: number;
}

/** The bindings of a source, ready to be used. */
export interface Bindings {
  readonly byKey: ReadonlyMap<string, MqttBinding>;
  /** One subscription per distinct filter, with the highest QoS that any of its bindings wants. */
  readonly subscriptions: readonly Subscription[];
  /** The readings that a message holds. */
  read(topic: string, bytes: Buffer, retained: boolean, at: number): Reading[];
}

/** A binding with its paths read. */
interface Bound extends MqttBinding {
  readonly valuePath: Path | undefined;
  readonly timePath: Path | undefined;
  /** Whether its last payload was bad, so that it is said once. */
  bad: boolean;
}

/**
 * Reads and checks bindings; of two for one signal the last one counts.
 * @throws CodedError SRC_BAD_TOPIC, SRC_BAD_PATH
 */
export function createBindings(
  deps: { log: Log; counts: MessageCounts },
  options: { bindings: readonly MqttBinding[]; maxPayload: number },
): Bindings {
  const { log, counts } = deps;
  const byKey = new Map(options.bindings.map((binding) => [bindingKey(binding), bind(binding)]));
  const read = [...byKey.values()].filter((one) => one.topic !== '');
  const index = createTopicIndex(read.map((one) => [one.topic, one] as const));

  return {
    byKey,
    subscriptions: subscriptionsOf(read),
    read(topic, bytes, retained, at) {
      counts.messages += 1;
      const found = index.match(topic);
      if (found.length === 0) return [];
      if (bytes.length > options.maxPayload) {
        counts.oversize += 1;
        return [];
      }
      const payload = createPayload(bytes);
      const readings: Reading[] = [];
      for (const binding of found) {
        const extract = payload.extract(binding.valuePath, binding.timePath);
        switch (extract.kind) {
          case 'value':
            binding.bad = false;
            readings.push({
              device: binding.device,
              signal: binding.signal,
              value: extract.value,
              at,
              age: retained ? 'unknown' : 'fresh',
              time: extract.time,
            });
            break;
          case 'absent':
            counts.absent += 1;
            break;
          case 'bad':
            counts.bad += 1;
            if (!binding.bad)
              log.warn('payload cannot be read', { topic, path: binding.path, problem: extract.problem });
            binding.bad = true;
        }
      }
      counts.readings += readings.length;
      return readings;
    },
  };
}

/** What changes on the wire when one set of bindings takes the place of another. */
export function subscriptionChanges(
  before: Bindings,
  after: Bindings,
): { gone: string[]; changed: Subscription[] } {
  const had = new Map(before.subscriptions.map((one) => [one.topic, one.qos]));
  const wanted = new Set(after.subscriptions.map((one) => one.topic));
  // A topic that feeds a new signal is subscribed again, so that its retained message comes again.
  const fed = new Set<string>();
  for (const [key, { topic }] of after.byKey) if (before.byKey.get(key)?.topic !== topic) fed.add(topic);
  return {
    gone: [...had.keys()].filter((topic) => !wanted.has(topic)),
    changed: after.subscriptions.filter(({ topic, qos }) => fed.has(topic) || had.get(topic) !== qos),
  };
}

function bind(binding: MqttBinding): Bound {
  // A signal that is only written has no topic to read.
  if (binding.topic !== '' || !binding.write) checkFilter(binding.topic);
  if (binding.write) checkTopic(binding.write.topic);
  return {
    ...binding,
    valuePath: binding.path === undefined ? undefined : parsePath(binding.path),
    timePath: binding.time === undefined ? undefined : parsePath(binding.time),
    bad: false,
  };
}

function subscriptionsOf(bindings: Iterable<MqttBinding>): Subscription[] {
  const found = new Map<string, 0 | 1 | 2>();
  for (const { topic, qos = 0 } of bindings)
    found.set(topic, Math.max(qos, found.get(topic) ?? 0) as 0 | 1 | 2);
  return Array.from(found, ([topic, qos]) => ({ topic, qos }));
}

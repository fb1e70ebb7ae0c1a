import { sourceErrors } from '../errors.ts';

/** MQTT 5 §4.7.3: a topic name or filter is at most this many bytes. */
const LONGEST = 65_535;

/**
 * Checks a topic filter (MQTT 5 §4.7).
 * @throws CodedError SRC_BAD_TOPIC
 */
export function checkFilter(topic: string): void {
  checkText(topic);
  const levels = topic.split('/');
  for (const [index, level] of levels.entries()) {
    if (level.includes('#') && (level !== '#' || index !== levels.length - 1))
      throw sourceErrors.BAD_TOPIC({ topic, problem: '# stands alone, as the last level' });
    if (level.includes('+') && level !== '+')
      throw sourceErrors.BAD_TOPIC({ topic, problem: '+ stands alone in its level' });
  }
}

/**
 * Checks the name of a topic to publish to.
 * @throws CodedError SRC_BAD_TOPIC
 */
export function checkTopic(topic: string): void {
  checkText(topic);
  if (/[+#]/.test(topic))
    throw sourceErrors.BAD_TOPIC({ topic, problem: 'a topic to write to has no + or #' });
}

function checkText(topic: string): void {
  if (topic === '') throw sourceErrors.BAD_TOPIC({ topic: '""', problem: 'is empty' });
  if (topic.includes('\0')) throw sourceErrors.BAD_TOPIC({ topic, problem: 'holds a NUL' });
  if (Buffer.byteLength(topic) > LONGEST)
    throw sourceErrors.BAD_TOPIC({ topic: '…', problem: 'is too long' });
}

/** Finds what belongs to a topic. */
export interface TopicIndex<Item> {
  /** Items whose filter matches; costs one look-up, and the topic's levels where there are wildcards at all. */
  match(topic: string): readonly Item[];
}

interface Node<Item> {
  readonly children: Map<string, Node<Item>>;
  /** Items of filters that end here. */
  readonly here: Item[];
  /** Items of filters that go on with `#`. */
  readonly below: Item[];
}

/** Makes the index. The filters must have been checked. */
export function createTopicIndex<Item>(
  items: Iterable<readonly [filter: string, item: Item]>,
): TopicIndex<Item> {
  const literal = new Map<string, Item[]>();
  const root: Node<Item> = newNode();
  let wild = false;
  for (const [filter, item] of items) {
    if (!/[+#]/.test(filter)) {
      const known = literal.get(filter);
      if (known) known.push(item);
      else literal.set(filter, [item]);
      continue;
    }
    wild = true;
    let node = root;
    for (const level of filter.split('/')) {
      if (level === '#') break;
      let child = node.children.get(level);
      if (!child) {
        child = newNode();
        node.children.set(level, child);
      }
      node = child;
    }
    (filter.endsWith('#') ? node.below : node.here).push(item);
  }

  return {
    match(topic) {
      const exact = literal.get(topic) ?? NONE;
      if (!wild) return exact as readonly Item[];
      const found = [...(exact as Item[])];
      collect(root, topic.split('/'), 0, found);
      return found;
    },
  };
}

const NONE: readonly never[] = Object.freeze([]);

function newNode<Item>(): Node<Item> {
  return { children: new Map(), here: [], below: [] };
}

function collect<Item>(node: Node<Item>, levels: readonly string[], depth: number, found: Item[]): void {
  // MQTT 5 §4.7.2: a filter that starts with a wildcard does not match a topic that starts with $.
  const hidden = depth === 0 && levels[0]?.startsWith('$') === true;
  // §4.7.1.2: `sport/#` matches `sport` as well.
  if (!hidden) found.push(...node.below);
  const level = levels[depth];
  if (level === undefined) {
    found.push(...node.here);
    return;
  }
  const exact = node.children.get(level);
  if (exact) collect(exact, levels, depth + 1, found);
  const any = hidden ? undefined : node.children.get('+');
  if (any) collect(any, levels, depth + 1, found);
}

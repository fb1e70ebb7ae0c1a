import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { checkFilter, checkTopic, createTopicIndex } from '../../../src/sources/mqtt/topics.ts';
import { suite } from '../../support/harness.ts';

const test = suite('sources/mqtt/topics');

const matches = (filter: string, topic: string): boolean =>
  createTopicIndex([[filter, 1]]).match(topic).length === 1;

test('filters match as MQTT 5 §4.7 has it', () => {
  for (const [filter, topic, expected] of [
    ['cold/freezer2', 'cold/freezer2', true],
    ['cold/freezer2', 'cold/freezer2/x', false],
    ['cold/+', 'cold/freezer2', true],
    ['cold/+', 'cold/freezer2/x', false],
    ['cold/+', 'cold/', true],
    ['cold/+', 'cold', false],
    ['+/+', '/finance', true],
    ['/+', '/finance', true],
    ['+', '/finance', false],
    ['sport/#', 'sport', true],
    ['sport/#', 'sport/tennis/player1', true],
    ['sport/+/player1', 'sport/tennis/player1', true],
    ['sport/+/#', 'sport/tennis', true],
    ['sport/+/#', 'sport', false],
    ['#', 'a/b/c', true],
    ['#', '$SYS/uptime', false],
    ['+/uptime', '$SYS/uptime', false],
    ['$SYS/#', '$SYS/uptime', true],
    ['$SYS/+', '$SYS/uptime', true],
    ['Cold', 'cold', false],
    ['a//b', 'a//b', true],
    ['a/+/b', 'a//b', true],
  ] as const)
    assert.is(matches(filter, topic), expected, `${filter} against ${topic}`);
});

test('every filter that matches is found, literal or not', () => {
  const index = createTopicIndex([
    ['a/b', 1],
    ['a/b', 2],
    ['a/+', 3],
    ['#', 4],
    ['a/c', 5],
  ]);
  assert.equal([...index.match('a/b')].sort(), [1, 2, 3, 4]);
  assert.equal([...index.match('x')], [4]);
});

test('bad filters and topics are refused', () => {
  for (const filter of ['', 'a/#/b', 'a#', 'a/b+', '+a', 'a\0b', `a/${'x'.repeat(65_535)}`])
    assert.throws(
      () => checkFilter(filter),
      (error: { code: string }) => error.code === 'SRC_BAD_TOPIC',
      filter,
    );
  for (const filter of ['#', '+', 'a/+/b/#', '/', ' ']) checkFilter(filter);
  assert.throws(() => checkTopic('a/+'), /no \+ or #/);
  checkTopic('a/b');
});

/** The rules in another way: by regular expression. */
function reference(filter: string, topic: string): boolean {
  if (topic.startsWith('$') && /^[+#]/.test(filter)) return false;
  const escaped = filter
    .split('/')
    .map((level) => (level === '+' ? '[^/]*' : level.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')))
    .join('/')
    .replace(/(^|\/)#$/, (_all, before: string) => (before === '' ? '.*' : '(/.*)?'));
  return new RegExp(`^${escaped}$`).test(topic);
}

test('any set of filters agrees with matching one by one', () => {
  const level = fc.constantFrom('a', 'b', '', '$x', '+');
  const topic = fc
    .array(fc.constantFrom('a', 'b', '', '$x'), { minLength: 1, maxLength: 4 })
    .map((l) => l.join('/'));
  const filter = fc
    .tuple(fc.array(level, { minLength: 1, maxLength: 4 }), fc.boolean())
    .map(([levels, below]) => [...levels, ...(below ? ['#'] : [])].join('/'));
  fc.assert(
    fc.property(fc.array(filter, { maxLength: 12 }), topic, (filters, name) => {
      const index = createTopicIndex(filters.map((one, at) => [one, at] as const));
      const expected = filters.flatMap((one, at) => (reference(one, name) ? [at] : []));
      assert.equal([...index.match(name)].sort(), expected.sort(), `${filters.join(' ')} against ${name}`);
    }),
    { numRuns: 2_000 },
  );
});

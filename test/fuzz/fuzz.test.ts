/** A sample of `make fuzz`, with one seed; and that the fuzzer would notice. */
import * as assert from 'uvu/assert';
import { createFakeRandom } from '../support/fake-random.ts';
import { suite } from '../support/harness.ts';
import { fuzz } from './drive.ts';
import { createMutator, seedMessages } from './mutate.ts';
import { slope } from './slope.ts';

const test = suite('fuzz', { timeout: 120_000 });

test('S42: mutated messages through a running stack: nothing thrown, nothing logged as an error, every OPTIONS answered', async () => {
  const { wrongs, answers, seen, counts } = await fuzz({
    random: createFakeRandom(20_261_129),
    messages: 2_500,
  });
  assert.equal(wrongs, []);
  assert.ok(seen >= 2_500);
  // Had the messages been so broken that nobody looks at them, this would show nothing.
  for (const status of [200, 400, 401, 481, 501, 505])
    assert.ok((answers.get(status) ?? 0) > 0, `${status} among ${[...answers.keys()]}`);
  assert.ok(
    [180, 181, 182, 183].some((status) => answers.has(status)),
    'calls as well',
  );
  assert.ok((counts['in.responses'] ?? 0) > 20, 'responses as well');
});

test('the mutations repeat with their seed, and are many', () => {
  const draw = (seed: number): string[] => {
    const mutator = createMutator(createFakeRandom(seed));
    return Array.from({ length: 300 }, () => mutator.next().toString('latin1'));
  };
  assert.equal(draw(1), draw(1));
  assert.is(new Set([...draw(1), ...draw(2)]).size > 580, true);
  assert.ok(seedMessages().length > 90);
});

test('the slope that says whether memory is flat', () => {
  assert.is(slope([]), 0);
  assert.is(slope([[1, 5]]), 0);
  const line = (at: (x: number) => number): number => slope([0, 1, 2, 3].map((x) => [x, at(x)] as const));
  assert.is(
    line((x) => 3 * x + 1),
    3,
  );
  assert.is(
    line(() => 7),
    0,
  );
});

import * as assert from 'uvu/assert';
import { createCourtesy } from '../../src/agent/courtesy.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { suite } from '../support/harness.ts';

const test = suite('courtesy');

test('one answer a minute for each sender', async () => {
  const clock = createFakeClock();
  const courtesy = createCourtesy(clock);
  assert.ok(courtesy.may('a'));
  assert.not(courtesy.may('a'));
  assert.ok(courtesy.may('b'));
  await clock.advance(59_000);
  assert.not(courtesy.may('a'));
  await clock.advance(1_000);
  assert.ok(courtesy.may('a'));
});

test('who never commands is a machine: after three answers silence for an hour', async () => {
  const clock = createFakeClock();
  const courtesy = createCourtesy(clock);
  let answers = 0;
  for (let minute = 0; minute < 300; minute += 1) {
    if (courtesy.may('a')) answers += 1;
    await clock.advance(60_000);
  }
  assert.ok(answers >= 3 && answers <= 15, `${answers} in five hours`);
});

test('a command shows a person: answers go on', async () => {
  const clock = createFakeClock();
  const courtesy = createCourtesy(clock);
  for (let minute = 0; minute < 20; minute += 1) {
    assert.ok(courtesy.may('a'));
    courtesy.commanded('a');
    await clock.advance(60_000);
  }
});

test('strangers do not fill the memory, and do not push out the last ones', () => {
  const courtesy = createCourtesy(createFakeClock());
  for (let n = 0; n < 10_000; n += 1) assert.ok(courtesy.may(`s${n}`));
  assert.not(courtesy.may('s9999'));
});

test('mistyped commands are answered a few times a minute: a machine whose every text begins with a verb is not', async () => {
  const clock = createFakeClock();
  const courtesy = createCourtesy(clock);
  const answered = Array.from({ length: 10 }, () => courtesy.mayCorrect('a')).filter(Boolean).length;
  assert.is(answered, 3);
  assert.ok(courtesy.may('a'), 'talk is counted apart');
  await clock.advance(60_000);
  assert.ok(courtesy.mayCorrect('a'));
});

import * as assert from 'uvu/assert';
import { createBackoff } from '../../src/base/backoff.ts';
import { defineErrors } from '../../src/base/errors.ts';
import { createLog, formatRecord, type LogRecord } from '../../src/base/log.ts';
import { createRing } from '../../src/base/ring.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { createFakeRandom } from '../support/fake-random.ts';
import { suite } from '../support/harness.ts';

const test = suite('base');

test('G18: back-off grows to its cap with full jitter and forgets only after a stable minute', async () => {
  const clock = createFakeClock();
  const backoff = createBackoff({ clock, random: createFakeRandom(7) });
  const waits = Array.from({ length: 200 }, () => backoff.next());
  for (const [n, wait] of waits.entries())
    assert.ok(wait > 0 && wait <= Math.min(120_000, 1_000 * 2 ** n), `${n}: ${wait}`);
  const late = waits.slice(10);
  assert.ok(Math.min(...late) < 30_000 && Math.max(...late) > 90_000, 'drawn from the whole span');

  backoff.up();
  await clock.advance(59_000);
  backoff.down();
  assert.ok(backoff.tries > 0, 'a session of 59 s is not stable');
  backoff.up();
  await clock.advance(60_000);
  backoff.down();
  assert.is(backoff.tries, 0);
});

test('an error carries code, filled text, remedy and statuses', () => {
  const errors = defineErrors('TST', {
    GONE: { text: 'port {port} is gone: {cause}', remedy: 'plug {port} in', exit: 69 },
    PLAIN: { text: 'nothing to say', remedy: 'nothing to do', sip: 488 },
  });
  const cause = new Error('bad file descriptor');
  const gone = errors.GONE({ port: 'ttyUSB0', cause }, cause);
  assert.is(gone.code, 'TST_GONE');
  assert.is(gone.message, 'port ttyUSB0 is gone: bad file descriptor');
  assert.is(gone.remedy, 'plug ttyUSB0 in');
  assert.is(gone.exit, 69);
  assert.is(gone.cause, cause);
  assert.ok(errors.GONE.is(gone));
  assert.not.ok(errors.PLAIN.is(gone));
  assert.is(errors.PLAIN().sip, 488);
  // @ts-expect-error: a field that the text names is missing
  errors.GONE({ port: 'x' });
});

test('G4: a line that repeats is counted, not written', async () => {
  const clock = createFakeClock();
  const records: LogRecord[] = [];
  const log = createLog({ clock, write: (record) => records.push(record) }, { level: 'info' });
  const port = log.child('serial').child('ttyUSB0');
  for (let second = 0; second < 3600; second += 1) {
    port.warn('port is gone', { cause: 'ENOENT' });
    await clock.advance(1000);
  }
  assert.ok(records.length <= 60, `${records.length} lines in an hour`);
  const last = records.at(-1);
  assert.ok(last);
  assert.is(
    formatRecord(last, true),
    '<4>serial/ttyUSB0: port is gone cause=ENOENT (59 more like this since)',
  );
});

test('log levels change while running', () => {
  const records: LogRecord[] = [];
  const log = createLog(
    { clock: createFakeClock(), write: (record) => records.push(record) },
    { level: 'info', quiet: 0 },
  );
  log.debug('one');
  log.setLevel('debug');
  log.debug('two');
  assert.equal(
    records.map((record) => record.text),
    ['two'],
  );
});

test('a field that holds a cycle costs no line', () => {
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  const records: LogRecord[] = [];
  createLog({ clock: createFakeClock(), write: (record) => records.push(record) }, { level: 'info' }).info(
    'x',
    { cycle },
  );
  assert.is(records.length, 1);
  assert.match(formatRecord(records[0] as LogRecord, false), 'unprintable');
});

test('a ring keeps the newest', () => {
  const ring = createRing<number>(3);
  for (let n = 1; n <= 5; n += 1) ring.push(n);
  assert.equal(ring.items(), [3, 4, 5]);
  assert.is(ring.size, 3);
});

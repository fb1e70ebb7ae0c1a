/** What is left behind by very many transactions and subscriptions: nothing. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createNotifier } from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createFakeRandom } from '../support/fake-random.ts';
import { suite } from '../support/harness.ts';
import { createRig, text, wire } from './rig.ts';

const test = suite('tiny-sip is lean', { timeout: 200_000 });

interface Result {
  readonly transactions: number;
  readonly came: Readonly<Record<string, number>>;
  readonly retransmitted: number;
  readonly absorbed: number;
  readonly unanswered: number;
  readonly left: readonly Readonly<Record<string, number>>[];
  readonly slope: readonly [number, number];
}

async function run(transactions: number, ...flags: string[]): Promise<Result> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      '--import',
      'tsx',
      '--expose-gc',
      ...flags,
      join(import.meta.dirname, 'transactions.ts'),
      `${transactions}`,
    ],
    { cwd: join(import.meta.dirname, '..', '..'), env: { ...process.env, NODE_OPTIONS: '' } },
  );
  return JSON.parse(stdout) as Result;
}

function check(result: Result, transactions: number): void {
  assert.is(result.transactions, transactions);
  // That it was a storm, and not a calm.
  for (const what of ['200', '404', 'timeout'])
    assert.ok((result.came[what] ?? 0) > 50, `${what}: ${result.came[what]}`);
  for (const what of ['retransmitted', 'absorbed', 'unanswered'] as const)
    assert.ok(result[what] > transactions / 1_000, `${what}: ${result[what]}`);
  for (const tables of result.left)
    for (const [name, size] of Object.entries(tables)) assert.is(size, 0, name);
}

// Code that gets compiled better, or is forgotten and compiled again, moves the heap by more than a leak would.
const STILL = ['--no-opt', '--no-flush-bytecode'];

test('S41: 100,000 transactions leave every table empty, and no byte of heap each', async () => {
  const result = await run(100_000, ...STILL);
  check(result, 100_000);
  const worst = Math.max(...result.slope);
  assert.ok(worst < 1, `${result.slope.join(', ')} bytes for each transaction in the two halves`);
});

test('S41: they do so with 32 MB of heap', async () => {
  const many = process.env.SOAK === undefined ? 10_000 : 100_000;
  check(await run(many, '--max-old-space-size=32', '--lite-mode', '--no-expose-wasm'), many);
});

// 10,000 watchers      notifier
//   |--SUBSCRIBE-------->|   60 s each, never refreshed
//   |<-200, NOTIFY-------|   nine in ten answer it, the others are dead
//   |   60 s pass        |
//   |<-NOTIFY terminated-|   once to each that is left, and then never again
test('S28: 10,000 subscriptions expire: the tables are empty, and the dead get no NOTIFY', async () => {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1', { limits: { serverTransactions: 50_000 } });
  const notifier = createNotifier(
    { stack, clock: rig.clock, random: createFakeRandom(3), log: rig.log },
    {
      event: 'presence',
      types: ['text/plain'],
      subscriptions: 10_000,
      authorise: ({ request }) => ({
        ok: true,
        resource: 'sip:freezer@example.com',
        watcher: request.from?.uri ?? '',
      }),
      body: () => ({ contentType: 'text/plain', content: 'cold' }),
    },
  );
  stack.on('SUBSCRIBE', notifier.handle);
  const notified = new Map<string, number>();
  const watchers = rig.network.transport({ host: '10.0.0.9', port: 5060 });
  const ok = (lines: readonly string[]): Buffer =>
    wire(['SIP/2.0 200 OK', ...lines, 'Content-Length: 0', '', ''].join('\n'));
  await watchers.start({
    message(flow, _bytes, parsed) {
      if (!parsed.ok || parsed.message.kind !== 'request') return;
      const { message } = parsed;
      const callId = message.callId ?? '';
      notified.set(callId, (notified.get(callId) ?? 0) + 1);
      if (Number(callId) % 10 === 1) return;
      const lines = ['Via', 'From', 'To', 'Call-ID', 'CSeq'].flatMap((name) =>
        message.lines(name).map((value) => `${name}: ${value}`),
      );
      flow.send(ok(lines));
    },
    closed: () => undefined,
    broken: () => undefined,
  });
  const server = { host: '10.0.0.1', port: 5060 };
  for (let n = 0; n < 10_000; n += 1) {
    const init = {
      branch: `z9hG4bKsub${n}`,
      callId: `${n}`,
      from: `<sip:w${n}@example.com>;tag=w${n}`,
      headers: ['Event: presence', 'Accept: text/plain', 'Expires: 60', `Contact: <sip:w${n}@10.0.0.9>`],
    };
    watchers.connect(server).send(wire(text('SUBSCRIBE', 'sip:freezer@example.com', init)));
    if (n % 500 === 499) await rig.clock.settle();
  }
  assert.is(notifier.counts().subscriptions, 10_000);
  assert.is(stack.counts().dialogs, 10_000);
  // Timer E would repeat NOTIFYs to the dead; what counts is what comes once their subscriptions are over.
  await rig.clock.advance(200_000);
  assert.equal(
    ['subscriptions', 'resources', 'watchers'].map((table) => notifier.counts()[table]),
    [0, 0, 0],
  );
  for (const table of ['dialogs', 'timers', 'transactions.client', 'transactions.server'])
    assert.is(stack.counts()[table], 0, table);
  assert.is(rig.clock.pending(), 0);
  assert.is(notified.size, 10_000);
  const alive = [...notified].filter(([callId]) => Number(callId) % 10 !== 1);
  assert.ok(
    alive.every(([, times]) => times === 2),
    'the first and the last',
  );
  const before = [...notified.values()].reduce((sum, times) => sum + times, 0);
  notifier.changed('sip:freezer@example.com');
  await rig.clock.advance(100_000);
  assert.is(
    [...notified.values()].reduce((sum, times) => sum + times, 0),
    before,
    'no NOTIFY to the dead',
  );
  await notifier.stop(rig.clock.now());
  await stack.stop();
  await watchers.stop();
});

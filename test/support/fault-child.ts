/**
 * Runs the tests of one file again and again, each time with another operation of the stack made to fail: the n-th
 * write, connection or DNS answer. A scenario may then fail, of course. What may not happen: an exception or rejection
 * that nobody handles, a request that never gets its outcome, a transaction that outlives its stack.
 *
 * Arguments: the file; `all` or `sample`; further words pick tests. Tells the driver on standard output, one line of JSON
 * for each finding, and the sum in the last one.
 */
import { createHash } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import {
  breakSockets,
  createFaultRun,
  type FaultKind,
  type FaultRun,
  faultKinds,
  inFaultRun,
} from './faults.ts';
import { type Declared, declaredTests } from './harness.ts';

Object.assign(globalThis, { UVU_DEFER: 1, UVU_QUEUE: [[null]], UVU_INDEX: 0 });

/** Real milliseconds that a run gets at least; a fake clock makes them enough. */
const PATIENCE = 1_500;
/** Fake milliseconds after which every request has its outcome, whatever happened to it: a few times timer F. */
const LIFETIME = 180_000;

/** Operations of one kind in one test that fail in turn; of a test with thousands so many, evenly spread. */
const MOST = 300;

const [, , file, scope = 'sample', ...words] = process.argv;
if (file === undefined) throw new Error('usage: fault-child.ts FILE all|sample [WORD…]');

let strays: string[] = [];
let running: FaultRun | undefined;
Error.stackTraceLimit = 30;

const stray = (what: string) => (error: unknown) => {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  // An assertion of the scenario, or what the test did itself.
  const name = error instanceof Error ? error.name : '';
  if (name === 'Assertion' || !/src\/tiny-sip\/|injected/.test(stack)) return;
  // The promise of a send that the test made and does not look after.
  if (what === 'unhandled' && running?.own && name === 'SipError') return;
  strays.push(`${what}: ${stack}`);
};
process.on('uncaughtException', stray('uncaught'));
process.on('unhandledRejection', stray('unhandled'));

breakSockets();
const told = console.log;
console.log = () => undefined;
await import(pathToFileURL(file).href);

const sum = { tests: 0, runs: 0, findings: 0 };
for (const one of declaredTests()) {
  if (words.length > 0 && !words.some((word) => one.name.includes(word))) continue;
  sum.tests += 1;
  await each(one);
}
told(JSON.stringify({ sum }));
process.exit(sum.findings === 0 ? 0 : 1);

async function each(test: Declared): Promise<void> {
  const counting = createFaultRun();
  const began = performance.now();
  const plain = await once(test, counting, 30_000);
  if (plain !== 'passed') tell(test, 'no fault', [`the scenario ${plain} without any fault`]);
  const patience = Math.max(PATIENCE, 5 * (performance.now() - began));
  for (const kind of faultKinds)
    for (const n of chosen(test, kind, counting.counts[kind])) {
      const run = createFaultRun({ kind, n });
      await once(test, run, patience);
      await lookAfter(test, `${kind}:${n}`, run);
    }
}

/** All of them, or one that the test's name decides. */
function chosen(test: Declared, kind: FaultKind, count: number): readonly number[] {
  if (count === 0) return [];
  if (scope === 'all') {
    const step = Math.max(1, count / MOST);
    return Array.from({ length: Math.min(count, MOST) }, (_, at) => 1 + Math.floor(at * step));
  }
  return [1 + (createHash('sha256').update(`${kind} ${test.name}`).digest().readUInt32BE() % count)];
}

async function once(test: Declared, run: FaultRun, patience: number): Promise<'passed' | 'failed' | 'hung'> {
  sum.runs += 1;
  running = run;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'hung'>((resolve) => {
    timer = setTimeout(() => resolve('hung'), patience);
  });
  const body = inFaultRun(run, async () => {
    for (const hook of test.hooks.before) await hook();
    try {
      await test.body();
    } finally {
      for (const hook of test.hooks.after) await hook();
    }
  }).then(
    () => 'passed' as const,
    () => 'failed' as const,
  );
  const came = await Promise.race([body, late]);
  clearTimeout(timer);
  return came;
}

/** What the run left behind, once its clocks have gone on and its stacks have stopped. */
async function lookAfter(test: Declared, fault: string, run: FaultRun): Promise<void> {
  const wrong: string[] = [];
  await inFaultRun(run, async () => {
    for (const clock of run.clocks) await clock.advance(LIFETIME).catch(stray('thrown by a timer'));
    for (const { shown, since, clock } of run.waiting)
      if (clock.now() - since >= LIFETIME) wrong.push(`${shown} got no outcome in time`);
    for (const stack of run.stacks) {
      await stack.stop().catch(stray('stop'));
      const counts = stack.counts();
      for (const table of ['transactions.client', 'transactions.server'])
        if (counts[table] !== 0) wrong.push(`${counts[table]} left in ${table}`);
    }
    for (const clock of run.clocks) await clock.settle();
    for (const { shown } of run.waiting) wrong.push(`${shown} got no outcome when its stack stopped`);
  });
  await new Promise((resolve) => setImmediate(resolve));
  wrong.push(...strays);
  strays = [];
  tell(test, fault, wrong);
}

function tell(test: Declared, fault: string, wrong: readonly string[]): void {
  for (const what of wrong) {
    sum.findings += 1;
    told(JSON.stringify({ test: test.name, fault, what }));
  }
}

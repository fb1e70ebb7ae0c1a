/**
 * The one way to write a test here. It wraps uvu's suites and closes their traps: a suite runs by itself, every test
 * has a time limit, a hook that throws and a promise that rejects with a non-Error fail the test, and what was
 * declared but did not run is counted as failed.
 */
import { suite as uvuSuite } from 'uvu';
import { installed } from './installed.ts';

export { installed };

type Body = () => void | Promise<void>;

export interface Suite {
  (name: string, body: Body): void;
  /** A test that needs programs that are not ours: without them it fails where CI=true and is skipped elsewhere. */
  needs(peers: readonly string[], name: string, body: Body): void;
  before(hook: Body): void;
  after(hook: Body): void;
  beforeEach(hook: Body): void;
  afterEach(hook: Body): void;
}

export interface Outcome {
  suite: string;
  name: string;
  state: 'passed' | 'failed' | 'skipped';
  detail?: string;
}

/** How long one test may take unless its suite says otherwise, in milliseconds. */
const TIME_LIMIT = 60_000;

/** A test as its file wrote it down. */
export interface Declared {
  readonly suite: string;
  readonly name: string;
  readonly body: Body;
  /** What runs around it, that of its suite included. */
  readonly hooks: { readonly before: readonly Body[]; readonly after: readonly Body[] };
}

// One process runs one test file, so the module is the file's own book.
const declared: Pick<Declared, 'suite' | 'name'>[] = [];
const tests: (() => Declared)[] = [];
const outcomes: Outcome[] = [];
const suites: (() => Promise<void>)[] = [];

export function suite(name: string, options: { timeout?: number } = {}): Suite {
  const limit = options.timeout ?? TIME_LIMIT;
  const inner = uvuSuite(name);
  const before: Body[] = [];
  const after: Body[] = [];
  const beforeEach: Body[] = [];
  const afterEach: Body[] = [];
  let broken: Error | undefined;

  const add = (title: string, body: Body): void => {
    declared.push({ suite: name, name: title });
    tests.push(() => ({
      suite: name,
      name: title,
      body,
      hooks: { before: [...before, ...beforeEach], after: [...afterEach, ...after] },
    }));
    inner(title, async () => {
      try {
        if (broken) throw broken;
        for (const hook of beforeEach) await within(limit, `beforeEach of "${title}"`, hook);
        try {
          await within(limit, `"${title}"`, body);
        } finally {
          for (const hook of afterEach) await within(limit, `afterEach of "${title}"`, hook);
        }
        outcomes.push({ suite: name, name: title, state: 'passed' });
      } catch (thrown) {
        const error = toError(thrown);
        outcomes.push({ suite: name, name: title, state: 'failed', detail: explain(error) });
        throw error;
      }
    });
  };

  const needs = (peers: readonly string[], title: string, body: Body): void => {
    const missing = peers.filter((peer) => !installed(peer));
    if (missing.length === 0) {
      add(title, body);
      return;
    }
    const detail = `not installed: ${missing.join(', ')}`;
    if (process.env.CI === 'true') {
      add(title, () => {
        throw new Error(detail);
      });
      return;
    }
    declared.push({ suite: name, name: title });
    outcomes.push({ suite: name, name: title, state: 'skipped', detail });
  };

  inner.before(async () => {
    try {
      for (const hook of before) await within(limit, `before of ${name}`, hook);
    } catch (thrown) {
      broken = toError(thrown);
    }
  });
  inner.after(async () => {
    for (const hook of after) {
      try {
        await within(limit, `after of ${name}`, hook);
      } catch (thrown) {
        const error = toError(thrown);
        declared.push({ suite: name, name: 'after' });
        outcomes.push({ suite: name, name: 'after', state: 'failed', detail: error.stack ?? error.message });
      }
    }
  });

  suites.push(async () => {
    inner.run();
  });

  return Object.assign(add, {
    needs,
    before: (hook: Body) => void before.push(hook),
    after: (hook: Body) => void after.push(hook),
    beforeEach: (hook: Body) => void beforeEach.push(hook),
    afterEach: (hook: Body) => void afterEach.push(hook),
  });
}

/** Hands all suites of this file to uvu. Called by the runner when the file is loaded, top-level awaits included. */
export async function queueSuites(): Promise<void> {
  for (const queue of suites) await queue();
}

/** The file's tests, for whoever runs them by other rules than this harness. */
export function declaredTests(): readonly Declared[] {
  return tests.map((one) => one());
}

/** What came of the file's tests; those that never ran are failures. */
export function report(): Outcome[] {
  const seen = new Map<string, number>();
  const key = (one: Pick<Declared, 'suite' | 'name'>): string => `${one.suite}\0${one.name}`;
  for (const outcome of outcomes) seen.set(key(outcome), (seen.get(key(outcome)) ?? 0) + 1);
  const lost: Outcome[] = [];
  for (const one of declared) {
    const left = seen.get(key(one)) ?? 0;
    if (left > 0) seen.set(key(one), left - 1);
    else lost.push({ ...one, state: 'failed', detail: 'declared, but never ran to its end' });
  }
  return [...outcomes, ...lost];
}

async function within(limit: number, what: string, body: Body): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took more than ${limit} ms`)), limit);
  });
  try {
    await Promise.race([Promise.resolve().then(body), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The stack, and for an assertion what differs. */
function explain(error: Error): string {
  const difference = 'details' in error && typeof error.details === 'string' ? `\n${error.details}` : '';
  return `${error.stack ?? error.message}${difference}`;
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(`rejected with a non-Error: ${String(thrown)}`);
}

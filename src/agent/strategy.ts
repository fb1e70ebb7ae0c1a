import { asError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { PIDF_DIFF_TYPE } from '../presence/namespaces.ts';
import { agentErrors } from './errors.ts';
import type { Configured } from './options.ts';
import type { Publisher, Unsuitable } from './publisher.ts';
import type { AgentState, Strategy } from './state.ts';
import type { Verdict } from './verdict.ts';

export interface StrategyDeps {
  readonly log: Log;
  readonly state: Pick<AgentState, 'learnt' | 'setLearnt'>;
  /** Content types that the server says it takes; undefined when it does not say. Never rejects. */
  readonly accept: () => Promise<readonly string[] | undefined>;
  /** A name of the server now at the other end; what is learnt is kept under it. */
  readonly server: () => string;
  readonly onDecided: (strategy: Strategy, why: string) => void;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Runs something once, later. Milliseconds. */
  readonly after: (ms: number, run: () => void) => { cancel(): void };
}

export interface StrategyOptions {
  readonly aor: string;
  readonly configured: Configured;
  readonly readBack: boolean;
}

/** Finds out how an account's server can be published to, and has the publishers do so. */
export interface Chooser {
  /** What is done now. `undecided`: whole documents, until more is known. */
  readonly strategy: Strategy | 'undecided';
  readonly why: string;
  /** The presentity that several devices share. */
  main(publisher: Publisher): void;
  /** A device's own presentity. */
  join(publisher: Publisher): void;
  /** The account is registered over a new flow: what was learnt is checked again. */
  registered(): void;
  mayDiff(publisher: Publisher): boolean;
  accepted(publisher: Publisher, kind: 'whole' | 'diff' | 'segment'): void;
  unsuitable(publisher: Publisher, what: Unsuitable): void;
  /** A diff was answered 400; the publisher goes on with a whole document. */
  badDiff(publisher: Publisher): void;
  stop(): void;
}

const MOST_STRIKES = 2;
/** How often reading back is tried when no answer comes, and how long the first wait is (then doubling), in ms. */
const MOST_ASKED = 3;
const ASK_AGAIN = 30_000;
/** How long a server that was found not to compose is not asked again, in ms. */
const PROBE_REST = 3_600_000;

/**
 * A 2xx proves nothing: some servers answer 200 to a diff and then ruin the document for every watcher. So `auto` uses
 * diffs only where the server lists their type and the first one reads back well, and segments only where a read-back
 * shows that the server composes publications; else it publishes whole documents.
 */
export function createChooser(deps: StrategyDeps, options: StrategyOptions): Chooser {
  const { log, state } = deps;
  const { configured, aor } = options;
  let strategy: Strategy | 'undecided' = 'undecided';
  let why = 'not registered yet';
  let shared: Publisher | undefined;
  const singles = new Set<Publisher>();
  /** Diffs answered 400, in a row. */
  const strikes = new Map<Publisher, number>();
  /** The one publisher that may send diffs while they are on trial. */
  let trial: Publisher | undefined;
  let proven = false;
  let verifying = false;
  let stopped = false;
  /** Rises when what is under way is void: the flow is another one. */
  let round = 0;
  let told: string | undefined;
  let asked = 0;
  let probedAt: number | undefined;
  let later: { cancel(): void } | undefined;

  const decide = (next: Strategy, reason: string): void => {
    why = reason;
    if (configured === 'auto') state.setLearnt(deps.server(), next);
    if (strategy === next) return;
    strategy = next;
    log.info('publishing', { aor, strategy: next, why: reason });
    deps.onDecided(next, reason);
  };

  /** Publishers of one device never need segments: their whole document is one. */
  const useForSingles = (next: Strategy): void => {
    for (const single of singles) void single.use(next === 'segments' ? 'full' : next);
  };

  const retreat = async (failed: Strategy, reason: string): Promise<void> => {
    const key = `${failed} ${reason}`;
    if (told !== key) {
      const error = agentErrors.READ_BACK({ aor, strategy: failed, cause: reason });
      log.warn('publishing whole documents', { code: error.code, cause: error });
    }
    told = key;
    trial = undefined;
    proven = false;
    decide('full', reason);
    useForSingles('full');
    if (!shared) return;
    const { strategy: before } = shared;
    await shared.use('full');
    // A ruined document is replaced even where nothing has changed since.
    if (before !== 'segments') shared.republish();
    await shared.uncover();
  };

  const sayVerdict = (verdict: Verdict): string =>
    verdict.kind === 'same' || verdict.kind === 'unsure' ? verdict.kind : verdict.why;

  const learn = async (mine: number): Promise<void> => {
    const over = (): boolean => stopped || mine !== round;
    if (configured !== 'auto') {
      decide(configured, 'as configured');
      useForSingles(configured);
      if (!shared) return;
      const several = shared.size > 1;
      await shared.use(configured === 'segments' && !several ? 'full' : configured);
      if (!over()) await shared.uncover();
      return;
    }

    const known = state.learnt(deps.server());
    // What was learnt before is used at once, and checked below.
    const first = known ?? 'full';
    useForSingles(first);
    const several = (shared?.size ?? 0) > 1;
    const start = first === 'segments' && !several ? 'full' : first;
    proven = known === 'diff';
    const published = shared ? await shared.use(start) : true;
    // After a broken flow the server may have lost what it had.
    if (shared && mine > 1) await shared.refresh();
    if (over()) return;

    const accept = await deps.accept();
    if (over()) return;
    const listsDiff = accept?.includes(PIDF_DIFF_TYPE) ?? false;
    if (listsDiff && options.readBack) return useDiff(over);
    if (strategy === 'diff' || known === 'diff')
      await retreat('diff', 'the server does not list its type any more');
    if (over()) return;

    if (!options.readBack) return decide('full', 'reading back is switched off');
    if (!shared || !several) return decide('full', 'one device at most in a document');
    if (!published) {
      why = 'what was published was not accepted yet';
      return;
    }
    // Looking again costs a cover, so a server that was found to need whole documents is not asked at every reconnect.
    const rested = probedAt !== undefined && deps.now() - probedAt > PROBE_REST;
    if (known === 'full' && !rested) {
      probedAt ??= deps.now();
      return decide('full', 'as this server was found to need');
    }
    probedAt = deps.now();
    await useSegments(shared, known === 'segments', over);
  };

  const useDiff = async (over: () => boolean): Promise<void> => {
    useForSingles('diff');
    if (shared) await shared.use('diff');
    if (over()) return;
    if (!proven) {
      why = 'the server lists pidf-diff; the first one is read back';
      return;
    }
    decide('diff', 'the server lists pidf-diff, and it read back well before');
    const judge = shared && shared.size > 0 ? shared : [...singles][0];
    const verdict = await judge?.verify('devices');
    if (over() || !verdict) return;
    if (verdict.kind === 'different' || verdict.kind === 'refused')
      await retreat('diff', sayVerdict(verdict));
  };

  const useSegments = async (publisher: Publisher, known: boolean, over: () => boolean): Promise<void> => {
    if (!known) {
      // Whether it can be read at all is learnt without troubling anybody.
      const plain = await publisher.verify('devices');
      if (over()) return;
      if (plain.kind === 'lost') return askLater(plain.why);
      if (plain.kind === 'refused' || plain.kind === 'different') return decide('full', sayVerdict(plain));
      // Each device twice, whole and whole: where the server shows both it composes, and where it does not, what it
      // shows is whole all the same.
      if (!(await publisher.cover()) || over()) return;
      const both = await publisher.verify('devices and cover');
      if (over()) return;
      if (both.kind === 'lost') {
        await publisher.uncover();
        return askLater(both.why);
      }
      if (both.kind !== 'same' && both.kind !== 'unsure') {
        await publisher.uncover();
        return decide('full', sayVerdict(both));
      }
      if (!(await publisher.use('segments')) || over()) return;
    }
    let verdict = await publisher.verify('devices');
    if (over()) return;
    if (known && verdict.kind === 'different') {
      // It composed before. Behind a cover there is time to renew what it may have lost, and to look again.
      await publisher.cover();
      await publisher.refresh();
      verdict = await publisher.verify('devices');
      if (over()) return;
    }
    if (verdict.kind === 'same' || verdict.kind === 'unsure') {
      decide('segments', known ? 'reads back as before' : 'every device reads back');
      await publisher.uncover();
      return;
    }
    if (verdict.kind !== 'lost') return retreat('segments', sayVerdict(verdict));
    // No answer is no refusal: with a server that composed before it stays, until it can be asked again.
    if (known) {
      decide('segments', 'as before; reading back got no answer');
      await publisher.uncover();
    } else await retreat('segments', sayVerdict(verdict));
  };

  const askLater = (reason: string): void => {
    if (stopped) return;
    why = `reading back got no answer: ${reason}`;
    asked += 1;
    if (asked >= MOST_ASKED) {
      decide('full', why);
      return;
    }
    const mine = round;
    later = deps.after(ASK_AGAIN * 2 ** (asked - 1), () => {
      if (mine === round) begin();
    });
  };

  const begin = (): void => {
    learn(round).catch((error: unknown) => {
      log.error('could not find out how to publish', { aor, cause: asError(error) });
    });
  };

  const tryFirstDiff = async (publisher: Publisher): Promise<void> => {
    verifying = true;
    const mine = round;
    const verdict = await publisher.verify('devices');
    verifying = false;
    if (stopped || mine !== round || trial !== publisher) return;
    switch (verdict.kind) {
      case 'same':
        proven = true;
        trial = undefined;
        return decide('diff', 'the server lists pidf-diff, and the first one read back well');
      case 'unsure':
      case 'lost':
        // The next diff is tried instead, whosever it is.
        trial = undefined;
        return;
      case 'different':
      case 'refused':
        return retreat('diff', sayVerdict(verdict));
    }
  };

  return {
    get strategy() {
      return strategy;
    },
    get why() {
      return why;
    },
    main(publisher) {
      shared = publisher;
    },
    join(publisher) {
      singles.add(publisher);
      const now = strategy === 'undecided' ? (configured === 'diff' ? 'diff' : 'full') : strategy;
      void publisher.use(now === 'segments' ? 'full' : now);
    },
    registered() {
      round += 1;
      verifying = false;
      trial = undefined;
      asked = 0;
      later?.cancel();
      begin();
    },
    mayDiff(publisher) {
      if (proven || configured === 'diff') return true;
      trial ??= publisher;
      return trial === publisher;
    },
    accepted(publisher, kind) {
      if (kind === 'diff') strikes.delete(publisher);
      if (kind === 'diff' && configured === 'auto' && trial === publisher && !proven && !verifying)
        void tryFirstDiff(publisher);
    },
    unsuitable(publisher, what) {
      if (what.status === 415 && what.contentType === PIDF_DIFF_TYPE) {
        void retreat('diff', `the server answered 415 to ${PIDF_DIFF_TYPE}`);
        if (publisher !== shared) void publisher.use('full');
        return;
      }
      if (what.status === 413) {
        if (publisher.detail !== 'lean') return publisher.lean();
        // Smaller documents are the last resort; whether the server composes them is then read back.
        if (
          publisher === shared &&
          publisher.size > 1 &&
          publisher.strategy !== 'segments' &&
          configured === 'auto'
        ) {
          const mine = round;
          void (async () => {
            const done = await publisher.use('segments');
            const verdict = done ? await publisher.verify('devices') : undefined;
            if (stopped || mine !== round) return;
            if (verdict?.kind === 'same') decide('segments', 'one document is too large for the server');
            await publisher.uncover();
          })();
        }
      }
    },
    badDiff(publisher) {
      // Once may be chance; a server that cannot take two of them in a row cannot take diffs.
      const now = strikes.get(publisher) ?? 0;
      strikes.set(publisher, now + 1);
      if (now + 1 < MOST_STRIKES) return;
      strikes.delete(publisher);
      void retreat('diff', 'the server answered 400 to diffs');
    },
    stop() {
      stopped = true;
      round += 1;
      later?.cancel();
    },
  };
}

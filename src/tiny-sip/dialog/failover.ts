import { SipError, SipSyntaxError } from '../errors.ts';
import type { SipRequest } from '../message/message.ts';
import type { Verdict } from '../resolve/health.ts';
import type { Target } from '../resolve/target.ts';
import type { Flow } from '../transport/transport.ts';
import { retryAfter } from './retry-after.ts';
import type { Outcome } from './user-agent.ts';

/** One way that a request can take. */
export interface Candidate {
  /** Where it leads, when it was found by name. */
  readonly target?: Target;
  /** Throws when there can be no flow. */
  open(): Flow;
}

/** What became of one try. */
export interface Attempt {
  readonly outcome: Outcome;
  /** A provisional response came. */
  readonly heard: boolean;
}

/** What one try says: of the server it went to, and whether the next one is to be tried. */
export interface Judgement {
  readonly over: boolean;
  readonly verdict: Verdict | undefined;
}

const WORKED: Judgement = { over: true, verdict: { kind: 'worked' } };
const FAILED: Judgement = { over: false, verdict: { kind: 'failed' } };

/**
 * RFC 3263 §4.3: a server has failed when it answers 503, when the transport reports an error, or when it stays
 * silent without ever having answered at all. What failed on our side says nothing of it.
 */
export function judge({ outcome, heard }: Attempt): Judgement {
  switch (outcome.kind) {
    case 'response': {
      const { response } = outcome;
      if (response.status !== 503) return WORKED;
      return { over: false, verdict: { kind: 'failed', seconds: retryAfter(response) } };
    }
    case 'timeout':
      return heard ? WORKED : FAILED;
    case 'failed':
      return judgeError(outcome.error);
  }
}

function judgeError(error: Error): Judgement {
  if (error instanceof SipSyntaxError) return { over: true, verdict: undefined };
  if (!(error instanceof SipError)) return FAILED;
  switch (error.code) {
    case 'SIP_ABANDONED':
    case 'SIP_STOPPED':
    case 'SIP_TABLE_FULL':
      return { over: true, verdict: undefined };
    case 'SIP_NO_TRANSPORT':
    case 'SIP_TOO_MANY_FLOWS':
    case 'SIP_FLOW_MOVED':
      return { over: false, verdict: undefined };
    default:
      return FAILED;
  }
}

/**
 * RFC 3261 §8.1.3.1 and RFC 3263 §4.3: one candidate after the other until one has answered. Answers the last outcome
 * and where in the list it came from. `attempt` makes a transaction of its own each time.
 */
export async function tryEach(
  candidates: readonly Candidate[],
  attempt: (candidate: Candidate, last: boolean) => Promise<Attempt>,
  report: (target: Target, verdict: Verdict) => void,
  signal: AbortSignal | undefined,
): Promise<{ readonly outcome: Outcome; readonly at: number } | undefined> {
  let outcome: Outcome | undefined;
  let at = -1;
  for (const candidate of candidates) {
    at += 1;
    const last = at === candidates.length - 1;
    let tried = await attempt(candidate, last);
    // Our own address is another now. Nothing was sent, and a new flow shows the new one.
    if (hasMoved(tried.outcome) && !signal?.aborted) tried = await attempt(candidate, last);
    outcome = tried.outcome;
    const { over, verdict } = judge(tried);
    if (candidate.target !== undefined && verdict !== undefined) report(candidate.target, verdict);
    if (over || signal?.aborted) break;
  }
  return outcome && { outcome, at };
}

function hasMoved(outcome: Outcome): boolean {
  return (
    outcome.kind === 'failed' && outcome.error instanceof SipError && outcome.error.code === 'SIP_FLOW_MOVED'
  );
}

/** The outcome of a request that could not be sent. */
export function failedOutcome(request: SipRequest, error: unknown, flow?: Flow): Outcome {
  return {
    kind: 'failed',
    request,
    error: error instanceof Error ? error : new Error(String(error)),
    ...(flow && { flow }),
  };
}

import type { Log } from '../deps.ts';
import { SipSyntaxError } from '../errors.ts';
import type { Handler, Incoming } from './user-agent.ts';

/**
 * Answers a request whose handling threw. A header that could not be read is its sender's fault and gets that
 * fault's status; anything else is ours: 500, and an error in the log.
 */
export function answerError(incoming: Incoming, error: unknown, log: Log, text: string): void {
  const { method } = incoming.request;
  if (error instanceof SipSyntaxError) {
    log.debug('a request could not be read', { method, error: error.message });
    incoming.respond(error.status, { reason: `Malformed ${error.what}` });
    return;
  }
  log.error(text, { method, error: String(error) });
  incoming.respond(500);
}

/** Hands a request to its handler, and answers for one that fails. Never throws. */
export function handTo(handler: Handler, incoming: Incoming, log: Log): void {
  const failed = (error: unknown): void => answerError(incoming, error, log, 'a request handler threw');
  try {
    // Without a promise, as mostly, nothing is to be waited for.
    handler(incoming)?.catch(failed);
  } catch (error) {
    failed(error);
  }
}

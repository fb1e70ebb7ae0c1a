import { createHash } from 'node:crypto';
import type { SipRequest } from '../message/message.ts';
import { detach } from '../message/text.ts';
import type { NotifyBody } from './notifier-options.ts';

/**
 * Conditional notification at the notifier (RFC 5839): each state that is told has an entity-tag, and a watcher that
 * holds that state already says so in Suppress-If-Match.
 */

/** Characters of a tag: 96 bits, so that no two states of a resource share one. */
const length = 16;

/** The condition of a SUBSCRIBE: one entity-tag, or `*`. Anything else is no condition. */
export function conditionOf(request: SipRequest): string | undefined {
  const lines = request.lines('Suppress-If-Match');
  const [value] = lines;
  if (lines.length !== 1 || value === undefined) return undefined;
  const text = value.trim();
  return text.length <= 256 && /^[-\w.!%*+`'~]+$/.test(text) ? detach(text) : undefined;
}

/** Whether a state with this tag need not be told. */
export function meets(condition: string | undefined, tag: string | undefined): boolean {
  // RFC 5839 §6.2: the wildcard is always true.
  return condition !== undefined && (condition === '*' || condition === tag);
}

/**
 * Makes tags out of what is told, so that they are the same after a restart and cost no memory. RFC 5839 §4: the Event
 * header and the content's own headers are part of the entity. One document often goes to many: the last is remembered.
 */
export function createTagger(): (event: string, body: NotifyBody) => string {
  let last: { event: string; body: NotifyBody; tag: string } | undefined;
  return (event, body) => {
    if (
      last?.event === event &&
      last.body.contentType === body.contentType &&
      last.body.content === body.content
    )
      return last.tag;
    const tag = createHash('sha256')
      .update(`${event}\n${body.contentType}\n`)
      .update(body.content)
      .digest('base64url')
      .slice(0, length);
    last = { event, body, tag };
    return tag;
  };
}

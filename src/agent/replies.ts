import {
  createRequest,
  type DigestClient,
  type Outcome,
  type SipRequest,
  type Stack,
  serialise,
  type Way,
} from 'tiny-sip';
import type { Log } from '../base/log.ts';
import { parseCommand } from '../commands/grammar.ts';
import { paginate } from '../commands/page.ts';

/** From whom a reply goes, and by which way. */
export interface ReplyFrom {
  readonly aor: string;
  readonly way: () => Way | undefined;
  readonly credentials?: DigestClient | undefined;
}

export interface Reply {
  readonly from: ReplyFrom;
  /** AOR of the one who asked. */
  readonly to: string;
  readonly text: string;
  /** Call-ID of the question: by it the other side knows an answer, which is never answered. */
  readonly inReplyTo: string;
}

/** Sends answers, one MESSAGE at a time to each peer. */
export interface Replies {
  send(reply: Reply): void;
  counts(): Readonly<Record<'sent' | 'failed' | 'dropped' | 'waiting', number>>;
  stop(): void;
}

/** RFC 3428 §8: no MESSAGE is larger, by whatever transport. */
export const MESSAGE_BYTES = 1_300;

/** What the stack adds: Via, Max-Forwards, CSeq, User-Agent. */
const STACK_BYTES = 220;
/** Digest credentials of SHA-256 with a long nonce, where none are known yet. */
const DIGEST_BYTES = 420;
/** No page is smaller. Where routes and names leave less room than that, there is no answer at all. */
const LEAST = 80;
/** In-Reply-To is left out for a longer one. */
const LONGEST_CALL_ID = 256;
/** Pages that may wait for one peer, and peers that may wait. */
const PAGES_PER_PEER = 24;
const PEERS = 128;

interface Page {
  readonly reply: Reply;
  readonly text: string;
}

/** Sends answers as MESSAGEs of at most 1300 bytes, longer ones in numbered pages, one outstanding per peer (RFC 3428 §8). */
export function createReplies(
  deps: { readonly stack: Stack; readonly log: Log },
  options: { readonly compact: boolean },
): Replies {
  const { stack, log } = deps;
  const queues = new Map<string, Page[]>();
  const counts = { sent: 0, failed: 0, dropped: 0 };
  let stopped = false;

  const build = ({ reply, text }: Page): SipRequest => {
    const { from, to } = reply;
    // The sender chose it, and may have chosen it longer than an answer may be.
    const inReplyTo = reply.inReplyTo.length > LONGEST_CALL_ID ? undefined : reply.inReplyTo;
    return createRequest({
      method: 'MESSAGE',
      uri: to,
      headers: {
        Route: from.way()?.route,
        From: `<${from.aor}>`,
        To: `<${to}>`,
        'Call-ID': stack.token(),
        'In-Reply-To': inReplyTo,
        'Content-Type': 'text/plain;charset=utf-8',
      },
      body: text,
    });
  };

  const room = (reply: Reply): number => {
    const bare = build({ reply, text: '' });
    reply.from.credentials?.begin().authorize(bare);
    const known = bare.has('Authorization') || bare.has('Proxy-Authorization');
    const credentials = reply.from.credentials && !known ? DIGEST_BYTES : 0;
    const head = serialise(bare, { compact: options.compact }).length + STACK_BYTES + credentials;
    return MESSAGE_BYTES - head;
  };

  const deliver = async (page: Page): Promise<boolean> => {
    const { from } = page.reply;
    const way = from.way();
    if (!way) return false;
    const outcome = await stack.send(build(page), {
      ...(way.flow && { flow: way.flow }),
      ...(way.target && { target: way.target }),
      ...(from.credentials && { credentials: from.credentials }),
    });
    return delivered(outcome);
  };

  const drain = async (peer: string, queue: Page[]): Promise<void> => {
    for (let page = queue[0]; page && !stopped; page = queue[0]) {
      const { reply } = page;
      if (await deliver(page)) {
        counts.sent += 1;
        queue.shift();
        continue;
      }
      counts.failed += 1;
      log.debug('answer not delivered', { to: peer });
      // What follows in the same answer makes no sense alone, and the peer may be gone.
      while (queue[0]?.reply === reply) queue.shift();
    }
    queues.delete(peer);
  };

  return {
    send(reply) {
      const bytes = room(reply);
      if (bytes < LEAST) {
        counts.dropped += 1;
        log.warn('no answer: its headers leave no room for text', { to: reply.to });
        return;
      }
      const pages = paginate(unlikeCommand(reply.text), { bytes });
      const queue = queues.get(reply.to) ?? [];
      if (
        stopped ||
        queue.length + pages.length > PAGES_PER_PEER ||
        (queue.length === 0 && queues.size >= PEERS)
      ) {
        counts.dropped += pages.length;
        return;
      }
      const idle = !queues.has(reply.to);
      queue.push(...pages.map((text) => ({ reply, text })));
      queues.set(reply.to, queue);
      if (idle) void drain(reply.to, queue);
    },
    counts: () => ({ ...counts, waiting: [...queues.values()].reduce((sum, { length }) => sum + length, 0) }),
    stop() {
      stopped = true;
    },
  };
}

/** An answer that another agent could take for a command would be answered, and so on for ever. */
function unlikeCommand(text: string): string {
  const parsed = parseCommand(text.split('\n')[0] ?? '');
  return !parsed.ok && parsed.kind === 'talk' ? text : `= ${text}`;
}

function delivered(outcome: Outcome): boolean {
  return outcome.kind === 'response' && outcome.response.status < 300;
}

import { type Incoming, parseDate, type SipRequest } from 'tiny-sip';
import type { Clock } from '../base/clock.ts';
import { asError, type CodedError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Answer } from '../commands/answer.ts';
import type { Authoriser } from '../commands/authorise.ts';
import { commandErrors } from '../commands/errors.ts';
import { validity } from '../commands/expiry.ts';
import { acting, type Command, parseCommand } from '../commands/grammar.ts';
import type { ReplayGuard } from '../commands/replay.ts';
import { type Commands, sayError } from '../commands/run.ts';
import { readBody } from './body.ts';
import { createCourtesy } from './courtesy.ts';
import type { AgentEvent } from './events.ts';
import type { Later } from './later.ts';
import type { Replies, ReplyFrom } from './replies.ts';
import type { SenderCheck } from './sender.ts';

/** Where a MESSAGE arrived: one AOR of one account. */
export interface Endpoint {
  readonly from: ReplyFrom;
  /** The device whose own AOR it is; absent: the gateway's, for all devices. */
  readonly device?: string | undefined;
  readonly senders: SenderCheck;
  /** Whether the server's word about the sender is believed on this flow. */
  trusts(incoming: Incoming): boolean;
}

export interface IntakeDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly authoriser: Authoriser;
  readonly guard: ReplayGuard;
  readonly commands: Commands;
  readonly replies: Replies;
  readonly decoder: Later['decoder'];
  readonly onEvent?: ((event: AgentEvent) => void) | undefined;
}

export interface Intake {
  /** Takes a MESSAGE that came to an endpoint. Always answers it. */
  take(incoming: Incoming, endpoint: Endpoint): Promise<void>;
  counts(): Readonly<Record<string, number>>;
  stop(): void;
}

/** Text of a command in an event, at most. */
const SHOWN = 200;

/**
 * The way of a MESSAGE to a command. Each step may end it: sender, allow-list, body, replay, expiry. The 200 goes out
 * before anything is executed (RFC 3428 §7), the result in a MESSAGE of its own.
 */
export function createIntake(deps: IntakeDeps): Intake {
  const { clock, log, authoriser, guard, commands, replies } = deps;
  const courtesy = createCourtesy(clock);
  const stopping = new AbortController();
  const counts = {
    accepted: 0,
    forged: 0,
    forbidden: 0,
    unreadable: 0,
    repeated: 0,
    expired: 0,
    told: 0,
    talk: 0,
  };

  const tell = (event: Extract<AgentEvent, { type: 'command' }>): void => deps.onEvent?.(event);

  const take = async (incoming: Incoming, endpoint: Endpoint): Promise<void> => {
    const received = clock.now();
    const { request } = incoming;
    const sender = endpoint.senders.check(incoming, endpoint.trusts(incoming));
    if (!sender.ok) {
      // A challenge is the ordinary beginning of a digest; only its failure is worth a line.
      if (sender.status === 403) {
        counts.forged += 1;
        log.warn('command from nobody', { why: sender.why, from: request.from?.uri });
      }
      return incoming.respond(sender.status, {
        ...(sender.reason !== undefined && { reason: sender.reason }),
        ...(sender.headers && { headers: sender.headers }),
      });
    }
    const { uri, headers } = sender;
    const key = authoriser.key(uri);
    if (key === undefined || !authoriser.knows(uri)) {
      counts.forbidden += 1;
      log.warn('command refused', { from: uri });
      tell({ type: 'command', from: uri, text: '', outcome: 'refused' });
      return incoming.respond(403, { headers });
    }

    const body = await readBody(request, deps.decoder);
    if (body.kind === 'refused') {
      counts.unreadable += 1;
      return incoming.respond(body.status, {
        ...(body.reason !== undefined && { reason: body.reason }),
        headers: { ...headers, ...body.headers },
      });
    }
    // RFC 3261 §20.21: it answers something, so it is nobody's command and gets no answer.
    if (body.kind === 'telling' || request.has('In-Reply-To')) {
      counts.told += 1;
      return incoming.respond(200, { headers });
    }

    const answer = (text: string): void =>
      replies.send({ from: endpoint.from, to: key, text, inReplyTo: request.callId ?? '' });
    const parsed = parseCommand(body.text);
    if (!parsed.ok) {
      incoming.respond(200, { headers });
      counts.talk += 1;
      const error =
        parsed.kind === 'malformed'
          ? commandErrors.MALFORMED({ why: parsed.why })
          : commandErrors.NOT_A_COMMAND({ word: parsed.word });
      const polite = parsed.kind === 'malformed' ? courtesy.mayCorrect(key) : courtesy.may(key);
      const hint = parsed.kind === 'talk' && parsed.meant ? `Did you mean "${parsed.meant}"? ` : '';
      const text = `${error.message}. ${hint}${error.remedy}`;
      if (polite) answer(text);
      return tell({
        type: 'command',
        from: key,
        text: shown(body.text),
        outcome: 'ignored',
        ...(polite && { answer: text }),
      });
    }

    // Elsewhere an Expires that cannot be read means an hour; when a command ends is not to be guessed.
    if (request.has('Expires') && !/^\d{1,10}$/.test(request.get('Expires') ?? ''))
      return incoming.respond(400, { reason: 'Malformed Expires', headers });
    const taken = guard.claim(key, {
      callId: request.callId ?? '',
      cseq: request.cseq?.number ?? 0,
      fromTag: request.fromTag,
      messageId: body.messageId,
    });
    // A copy is answered, so that its sender stops, and nothing else happens.
    incoming.respond(200, { headers });
    if (taken === 'seen') {
      counts.repeated += 1;
      return;
    }
    counts.accepted += 1;
    courtesy.commanded(key);
    const { command } = parsed;
    const refusal = (await mayNot(command, request, received, taken)) ?? undefined;
    const result: Answer = refusal
      ? { verb: command.verb, outcome: 'refused', code: refusal.code, text: sayError(refusal) }
      : await commands.run(command, {
          sender: uri,
          abort: stopping.signal,
          ...(endpoint.device !== undefined && { scope: new Set([endpoint.device]) }),
        });
    answer(result.text);
    tell({
      type: 'command',
      from: key,
      text: shown(body.text),
      outcome: result.outcome,
      answer: result.text,
    });
    if (acting.has(command.verb))
      log.info('command', { from: key, verb: command.verb, outcome: result.outcome, code: result.code });
  };

  /** Why a command that was taken may not be executed. */
  const mayNot = async (
    command: Command,
    request: SipRequest,
    received: number,
    recorded: Promise<void>,
  ): Promise<CodedError | undefined> => {
    const written = await recorded.then(
      () => undefined,
      (error: unknown) => asError(error),
    );
    // What only tells may be told twice.
    if (written && acting.has(command.verb))
      return commandErrors.NOT_RECORDED({ cause: written.message }, written);
    const date = request.get('Date');
    const held = validity(
      {
        expires: request.expires,
        date: date === undefined ? undefined : (parseDate(date) ?? 'unreadable'),
        waited: clock.now() - received,
      },
      clock.wall(),
    );
    switch (held.kind) {
      case 'valid':
        return undefined;
      case 'expired':
        counts.expired += 1;
        return commandErrors.EXPIRED({ seconds: Math.ceil(held.late / 1_000) });
      case 'undecidable':
        counts.expired += 1;
        return acting.has(command.verb) ? commandErrors.NO_CLOCK() : undefined;
    }
  };

  return {
    async take(incoming, endpoint) {
      try {
        await take(incoming, endpoint);
      } catch (thrown) {
        log.error('message not handled', { cause: asError(thrown) });
        if (!incoming.responded) incoming.respond(500);
      }
    },
    counts: () => ({ ...counts }),
    stop() {
      stopping.abort();
    },
  };
}

function shown(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > SHOWN ? `${line.slice(0, SHOWN)}…` : line;
}

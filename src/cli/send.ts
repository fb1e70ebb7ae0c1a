import { aorOf, createRegistration, createRequest, type Incoming, type Stack } from 'tiny-sip';
import { cliErrors, exits } from './errors.ts';
import { parseCount } from './flags.ts';
import { IDENTITY_FLAGS, type Identity, parseAddress, readIdentity } from './identity.ts';
import type { Surroundings } from './io.ts';
import { failureError, openPhone, outcomeError, type Phone, SERVER_FLAGS } from './phone.ts';
import { printable } from './table.ts';
import { defineVerb } from './verb.ts';

export const send = defineVerb({
  name: 'send',
  summary: 'Sends a message to somebody and waits for the answer.',
  usage: 'sip:USER@DOMAIN TEXT --as sip:USER@DOMAIN --password-file FILE',
  description:
    'To be reached by the answer it registers for a moment, as another phone of the same user would. Exit status 0 when\nan answer came, also one that says no; 69 when the message does not arrive or no answer comes, 77 when the server\nrefuses it.',
  flags: {
    ...IDENTITY_FLAGS,
    ...SERVER_FLAGS,
    seconds: { value: 'N', help: 'How long to wait for the answer. Default: 10.' },
    'no-wait': { help: 'Do not wait for an answer.' },
  },
  words: [2, 2],
  async run(surroundings, values, [address = '', text = '']) {
    const { io } = surroundings;
    const to = parseAddress('the address', address);
    const seconds = parseCount('--seconds', values.seconds) ?? 10;
    const identity = await readIdentity(surroundings, 'send', values, to.host);
    if (!identity)
      throw cliErrors.NEEDS({
        flag: 'send',
        other: '--as or --user, since the answer goes to them',
        verb: 'send',
      });
    surroundings.interruptible().addEventListener('abort', () => process.exit(SIGNALLED));
    const log = surroundings.log({ level: 'error' });
    const phone = await openPhone(surroundings, log, values.server, identity.aor, identity);
    try {
      const collect = values['no-wait'] ? undefined : answersOf(phone.stack, to.uri);
      const unregister = collect ? await register(surroundings, phone, identity) : async () => {};
      try {
        const status = await sendText(phone, identity, to.uri, text);
        if (!collect) {
          if (values.json) io.out(JSON.stringify({ status, answers: [] }));
          return exits.ok;
        }
        const answers = await collect.wait(surroundings, seconds);
        if (values.json) io.out(JSON.stringify({ status, answers }));
        else for (const answer of answers) for (const line of answer.split('\n')) io.out(printable(line));
        if (answers.length === 0) throw cliErrors.NO_ANSWER({ uri: to.uri, seconds });
        return exits.ok;
      } finally {
        await unregister();
      }
    } finally {
      await phone.close();
    }
  },
});

/** As a shell counts a process that SIGINT ended. */
const SIGNALLED = 130;
/** The registration is taken back at the end; should that fail, it soon ends by itself. Seconds. */
const REGISTERED = 120;
/** How long the registrar may take for either; milliseconds. */
const PATIENCE = 5000;

/** Makes the sender reachable; what comes back takes it back. */
function register(
  surroundings: Surroundings,
  phone: Phone,
  identity: Identity,
): Promise<() => Promise<void>> {
  const { clock } = surroundings;
  return new Promise((resolve, reject) => {
    const registration = createRegistration(phone.deps, {
      aor: identity.aor,
      expires: REGISTERED,
      way: () => ({ target: phone.target }),
      ...(phone.credentials && { credentials: phone.credentials }),
      onState(state) {
        if (state.kind === 'registered') {
          timer.cancel();
          resolve(() => within(registration.remove()));
        } else if (state.kind === 'waiting' || state.kind === 'refused') {
          fail(state.cause);
        }
      },
    });
    const fail = (cause: Parameters<typeof failureError>[1]) => {
      timer.cancel();
      registration.stop();
      reject(failureError(identity.aor, cause));
    };
    const timer = clock.after(PATIENCE, () =>
      fail({ kind: 'timeout', reason: 'the registrar does not answer' }),
    );
    const within = (work: Promise<void>): Promise<void> =>
      new Promise((done) => {
        const late = clock.after(PATIENCE, done);
        void work.finally(() => {
          late.cancel();
          done();
        });
      });
    registration.start();
  });
}

/** @returns the status, 200 or 202 */
async function sendText(phone: Phone, identity: Identity, to: string, text: string): Promise<number> {
  const request = createRequest({
    method: 'MESSAGE',
    uri: to,
    headers: { From: `<${identity.aor}>`, To: `<${to}>`, 'Content-Type': 'text/plain;charset=UTF-8' },
    body: text,
  });
  const outcome = await phone.stack.send(request, {
    target: phone.target,
    ...(phone.credentials && { credentials: phone.credentials }),
  });
  if (outcome.kind === 'response' && outcome.response.status < 300) return outcome.response.status;
  throw outcomeError(to, outcome);
}

/** Collects what a peer answers: one message, or all pages of a long one. */
function answersOf(
  stack: Stack,
  peer: string,
): { wait(surroundings: Surroundings, seconds: number): Promise<string[]> } {
  const from = aorOf(peer);
  const answers: string[] = [];
  let arrived = (): void => {};

  stack.on('MESSAGE', (incoming: Incoming) => {
    const { request } = incoming;
    const type = request.contentType?.essence ?? 'text/plain';
    if (type === 'message/imdn+xml' || type === 'application/im-iscomposing+xml')
      return incoming.respond(200);
    if (type !== 'text/plain') return incoming.respond(415, { headers: { Accept: 'text/plain' } });
    incoming.respond(200);
    // Somebody else may write to the same user meanwhile.
    if (!request.from || aorOf(request.from.uri) !== from) return undefined;
    answers.push(request.text());
    arrived();
    return undefined;
  });

  return {
    wait: ({ clock }, seconds) =>
      new Promise((resolve) => {
        const timer = clock.after(seconds * 1000, () => resolve(inOrder(answers)));
        arrived = () => {
          if (answers.length < pagesOf(answers)) return;
          timer.cancel();
          resolve(inOrder(answers));
        };
        if (answers.length > 0) arrived();
      }),
  };
}

const PAGE = /^\((\d{1,3})\/(\d{1,3})\) /;

/** How many messages the answer has: `(1/3) …` is the first of three. */
function pagesOf(answers: readonly string[]): number {
  return Math.max(1, ...answers.map((answer) => Number(PAGE.exec(answer)?.[2] ?? 1)));
}

function inOrder(answers: readonly string[]): string[] {
  return [...answers].sort((a, b) => Number(PAGE.exec(a)?.[1] ?? 0) - Number(PAGE.exec(b)?.[1] ?? 0));
}

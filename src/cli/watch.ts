import { createSubscription, type Notify, type NotifyVerdict, type SubscriptionState } from 'tiny-sip';
import { asError, type CodedError } from '../base/errors.ts';
import { isoTime } from '../base/iso.ts';
import { readPresence } from '../presence/read.ts';
import { cliErrors, exits } from './errors.ts';
import { parseCount } from './flags.ts';
import { IDENTITY_FLAGS, parseAddress, readIdentity } from './identity.ts';
import { failureError, openPhone, SERVER_FLAGS } from './phone.ts';
import { printable } from './table.ts';
import { defineVerb } from './verb.ts';
import { createView, type Seen } from './view.ts';

export const watch = defineVerb({
  name: 'watch',
  summary: 'Watches the presence of somebody: one line for each device and change.',
  usage: 'sip:USER@DOMAIN [flags]',
  description:
    'A NOTIFY without a document is shown as gone: the publisher is no longer there. Exit status 69 when the server\ncannot be reached or nothing was heard, 77 when it refuses.',
  flags: {
    ...IDENTITY_FLAGS,
    ...SERVER_FLAGS,
    count: { value: 'N', help: 'End after so many notifications.' },
    seconds: { value: 'N', help: 'End after so many seconds.' },
  },
  words: [1, 1],
  async run(surroundings, values, [address = '']) {
    const { io, clock } = surroundings;
    const resource = parseAddress('the address', address);
    const count = parseCount('--count', values.count) ?? Number.POSITIVE_INFINITY;
    const seconds = parseCount('--seconds', values.seconds);
    const identity = await readIdentity(surroundings, 'watch', values, resource.host);
    const abort = surroundings.interruptible();
    const log = surroundings.log({ level: 'error' });
    const phone = await openPhone(surroundings, log, values.server, resource.uri, identity);
    const view = createView(io, () => clock.wall());

    let heard = 0;
    let trouble: CodedError | undefined;
    const ended = new Promise<CodedError | undefined>((resolve) => {
      const subscription = createSubscription(phone.deps, {
        resource: resource.uri,
        // RFC 3261 §8.1.1.3: who does not say who they are.
        from: identity?.aor ?? 'sip:anonymous@anonymous.invalid',
        accept: ['application/pidf+xml'],
        way: () => ({ target: phone.target }),
        ...(phone.credentials && { credentials: phone.credentials }),
        onNotify(notify) {
          if (heard >= count) return undefined;
          heard += 1;
          trouble = undefined;
          const { seen, verdict } = readNotify(resource.uri, notify, clock.wall());
          if (values.json) io.out(JSON.stringify(seen));
          else view.show(seen);
          if (heard >= count) finish(undefined);
          return verdict;
        },
        onState(state) {
          const said = describe(resource.uri, state);
          if (!said) return;
          trouble = said.error;
          if (said.final) finish(said.error);
          else if (!values.json) io.err(`presentity: ${printable(said.error.message)}; trying again`);
        },
      });
      let finished = false;
      const finish = (error: CodedError | undefined): void => {
        if (finished) return;
        finished = true;
        timer?.cancel();
        // The server is told, but a server that does not answer is not waited for.
        const impatient = new Promise<void>((done) => clock.after(GOODBYE, done));
        void Promise.race([subscription.unsubscribe(), impatient]).then(() => {
          subscription.stop();
          resolve(error);
        });
      };
      const timer =
        seconds === undefined
          ? undefined
          : clock.after(seconds * 1000, () =>
              finish(
                heard > 0 ? undefined : (trouble ?? cliErrors.NO_NOTIFY({ uri: resource.uri, seconds })),
              ),
            );
      abort.addEventListener('abort', () => finish(undefined));
      subscription.start();
    });

    const error = await ended;
    await phone.close();
    if (error) throw error;
    return exits.ok;
  },
});

/** How long the server may take to take back the subscription; milliseconds. */
const GOODBYE = 500;

/** What one NOTIFY says. */
function readNotify(
  resource: string,
  notify: Notify,
  wall: number | undefined,
): { seen: Seen; verdict: NotifyVerdict | undefined } {
  const head = {
    ...(wall !== undefined && { time: isoTime(wall) }),
    resource,
    subscription: notify.state,
    ...(notify.reason !== undefined && { reason: notify.reason }),
    bytes: notify.body.length,
  };
  if (notify.body.length === 0) {
    // RFC 3856 §6.6.2 knows no empty body of an active subscription; servers send it when the last publication expired.
    return { seen: { ...head, gone: notify.state === 'active', devices: [], notes: [] }, verdict: undefined };
  }
  const contentType = notify.contentType ?? 'application/pidf+xml';
  if (contentType !== 'application/pidf+xml') {
    return {
      seen: {
        ...head,
        contentType,
        gone: false,
        devices: [],
        notes: [],
        error: `${contentType} is not understood`,
      },
      verdict: { status: 415, headers: { Accept: 'application/pidf+xml' } },
    };
  }
  try {
    const { devices, notes } = readPresence(notify.body);
    return { seen: { ...head, contentType, gone: false, devices, notes }, verdict: undefined };
  } catch (error) {
    const said = asError(error).message;
    return {
      seen: { ...head, contentType, gone: false, devices: [], notes: [], error: said },
      verdict: undefined,
    };
  }
}

/** What a change of the subscription means to whoever watches; `final`: there is no use in waiting. */
function describe(uri: string, state: SubscriptionState): { error: CodedError; final: boolean } | undefined {
  switch (state.kind) {
    case 'waiting':
      return { error: failureError(uri, state.cause), final: false };
    case 'refused':
      return { error: failureError(uri, state.cause), final: true };
    case 'terminated':
      return {
        error: state.cause
          ? failureError(uri, state.cause)
          : failureError(uri, {
              kind: 'failed',
              reason: `the server ended the subscription (${state.reason})`,
            }),
        final: true,
      };
    default:
      return undefined;
  }
}

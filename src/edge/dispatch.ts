import type { Handler, Incoming, Notifier, Stack } from 'tiny-sip';
import { asError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type Domain, isWildcard, read } from './domain.ts';
import type { Esc } from './esc.ts';
import type { SipProxy } from './proxy.ts';
import type { Registrar } from './registrar.ts';

/** What the edge serves itself or forwards; for Allow (RFC 3261 §20.5). */
const METHODS = ['REGISTER', 'PUBLISH', 'SUBSCRIBE', 'NOTIFY', 'MESSAGE', 'OPTIONS'];

/** Those belong to sessions, which are not this server's business. */
const SESSION_METHODS = ['INVITE', 'BYE', 'CANCEL', 'PRACK', 'UPDATE', 'INFO'];

/** Option tags of RFC 3327, RFC 5626 and RFC 5627. */
const SUPPORTED = ['path', 'outbound', 'gruu'];

/** Brings each request to the part of the edge that it is for. */
export function dispatch(
  stack: Stack,
  parts: {
    readonly log: Log;
    readonly domain: Domain;
    readonly registrar: Registrar;
    readonly esc: Esc;
    readonly notifier: Notifier;
    readonly proxy: SipProxy;
  },
): void {
  const { log, domain, registrar, esc, notifier, proxy } = parts;

  /** RFC 3261 §11.2, RFC 3903 §7: what this server can do. */
  const describe: Handler = (incoming) =>
    incoming.respond(200, {
      headers: {
        Allow: METHODS.join(', '),
        Accept: esc.accept.join(', '),
        'Allow-Events': notifier.event,
        Supported: SUPPORTED.join(', '),
      },
    });

  const subscribe: Handler = (incoming) => {
    if (incoming.request.event?.package === notifier.event) notifier.handle(incoming);
    else incoming.respond(489, { headers: { 'Allow-Events': notifier.event } });
  };

  const query: Handler = (incoming) => {
    const { request } = incoming;
    const target = read(request.uri);
    const forUs =
      target !== undefined && target.user === undefined && domain.serves(target.host, target.port);
    // A request for a user that may go no further is answered here (RFC 3261 §11).
    const last = request.maxForwards === 0 && domain.aor(request.uri) !== undefined;
    if (forUs || last) ending(describe)(incoming);
    else proxy.handle(incoming);
  };

  const decline: Handler = (incoming) => incoming.respond(405, { headers: { Allow: METHODS.join(', ') } });

  /** RFC 3261 §8.2.2.3, for what ends here; what is forwarded is its receiver's business. */
  const ending =
    (handle: Handler): Handler =>
    (incoming) => {
      const unknown = incoming.request.all('Require').filter((tag) => !SUPPORTED.includes(tag.toLowerCase()));
      if (unknown.length === 0) handle(incoming);
      // What is no option tag cannot be named in the answer either.
      else if (unknown.some((tag) => !/^[\w\-.!%*+`'~]+$/.test(tag)))
        incoming.respond(400, { reason: 'Malformed Require' });
      else incoming.respond(420, { headers: { Unsupported: unknown.join(', ') } });
    };

  /** A value that turns out malformed when it is looked at is the sender's fault, anything else is ours. */
  const attempt = (handle: Handler, incoming: Incoming): void => {
    try {
      handle(incoming);
    } catch (error) {
      const cause = asError(error);
      const status = 'status' in cause && typeof cause.status === 'number' ? cause.status : 500;
      if (status === 500) log.error('request failed', { method: incoming.request.method, cause });
      if (!incoming.responded) incoming.respond(status, status === 500 ? {} : { reason: 'Malformed Header' });
    }
  };

  const on = (method: string, handle: Handler): void => {
    stack.on(method, (incoming) => {
      const { flow } = incoming;
      const found = (): void => {
        domain.listening(flow.local);
        attempt(handle, incoming);
      };
      // By which of our addresses a datagram came is asked once for each peer of a listener on all addresses.
      if (isWildcard(flow.local.host)) void flow.ready().then(found, found);
      else found();
    });
  };

  on(
    'REGISTER',
    ending((incoming) => registrar.handle(incoming)),
  );
  on(
    'PUBLISH',
    ending((incoming) => esc.handle(incoming)),
  );
  on('SUBSCRIBE', ending(subscribe));
  on('OPTIONS', query);
  // RFC 6665 §4.1.3: this server subscribes to nothing.
  on('NOTIFY', (incoming) => incoming.respond(481));
  for (const method of SESSION_METHODS) on(method, decline);
  on('*', (incoming) => proxy.handle(incoming));
}

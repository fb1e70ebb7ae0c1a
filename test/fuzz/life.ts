/**
 * What the fuzzed stack does of its own accord beside answering: it takes calls and makes some, registers, publishes and
 * subscribes, so that the machines above its transactions meet broken answers and requests in their dialogs as well.
 */
import {
  type AnsweredMedia,
  createInviteServer,
  createInviteSession,
  createLocation,
  createPublication,
  createRegistration,
  createRegistrationServer,
  createSubscription,
  type EventDeps,
  type Incoming,
  type Invitation,
  type MediaDescription,
  type Way,
  writeMessageMedia,
} from 'tiny-sip';

export interface Life {
  /** Takes a REGISTER that was let through. */
  register(incoming: Incoming): void;
  /** Ends what was begun the last time, and begins one of each kind. */
  turn(way: Way): void;
  stop(): void;
}

const host = '127.0.0.1';
const chat: MediaDescription = writeMessageMedia({
  secure: false,
  path: [`msrp://${host}:2855/fuzz;tcp`],
  acceptTypes: ['text/plain'],
});

/** As many media as were offered, or the one of ours. */
const media = (of: number): AnsweredMedia => ({
  address: host,
  media: Array.from({ length: of }, () => chat),
});

export function createLife(deps: EventDeps): Life {
  const { stack, random, clock, log } = deps;
  const pick = (below: number): number => Math.floor(random.float() * below);
  const to = `sip:peer@${host}`;
  const from = `sip:us@${host}`;
  const answer = (incoming: Incoming): void => incoming.respond(200, { body: incoming.request.body });

  const decide = (invitation: Invitation): void => {
    const { offer } = invitation;
    if (pick(3) === 0) invitation.ring(180 + pick(4));
    if (pick(4) === 0) invitation.reject([302, 480, 486, 603][pick(4)] ?? 480);
    if (pick(4) === 0) return;
    try {
      invitation.accept(media(offer?.media.length ?? 1), {
        onOffer: (next) => (pick(4) === 0 ? undefined : media(next.media.length)),
        onRequest: answer,
      });
    } catch (error) {
      // Our media can be written, so whatever cannot is the peer's, and should have been refused before.
      log.error('an invitation could not be accepted', { error: String(error) });
    }
  };
  const calls = createInviteServer(deps, {
    onInvite: decide,
    accepts: () => true,
    limit: 200,
    patience: 20,
  });
  stack.on('INVITE', calls.handle);

  const location = createLocation(
    { clock, after: stack.after },
    { save: () => undefined, drop: () => undefined },
  );
  const registrar = createRegistrationServer(
    { clock, log, location },
    { authorise: () => ({ ok: true, aor: from }), isOurs: () => false, bindings: 200, flowTimer: 60 },
  );

  let leave: (() => void) | undefined;
  return {
    register: registrar.handle,
    turn(way) {
      leave?.();
      const session = createInviteSession(deps, {
        to,
        from,
        way,
        ...(pick(3) > 0 && { offer: { address: host, media: [chat] } }),
        expires: 20,
        onOffer: (next) => media(next.media.length),
        onState: (state) => {
          if (state.kind === 'established' && pick(2) === 0) void session.reoffer();
        },
      });
      const subscription = createSubscription(deps, {
        resource: to,
        from,
        way: () => way,
        expires: 60 + pick(600),
      });
      const registration = createRegistration(deps, { aor: from, way: () => way, instance: 'urn:uuid:1' });
      const publication = createPublication(deps, {
        aor: from,
        way: () => way,
        body: () => ({ contentType: 'text/plain', content: 'x', token: undefined }),
      });
      subscription.start();
      registration.start();
      publication.changed();
      leave = () => {
        void session.bye();
        subscription.stop();
        registration.stop();
        publication.stop();
      };
    },
    stop() {
      leave?.();
      void calls.stop();
    },
  };
}

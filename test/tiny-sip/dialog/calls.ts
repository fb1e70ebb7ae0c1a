/** Callers and callees for the tests of sessions: two stacks on a fake clock, or one and a scripted peer. */
import {
  createInviteServer,
  createInviteSession,
  formatSdp,
  type Invitation,
  type InviteServer,
  type InviteServerOptions,
  type InviteSession,
  type InviteSessionOptions,
  type OfferedMedia,
  type SessionDescription,
  type SessionHooks,
  type SessionState,
  type SipRequest,
  type Stack,
  writeMessageMedia,
} from 'tiny-sip';
import { createFakeRandom } from '../../support/fake-random.ts';
import type { Peer, Rig } from '../rig.ts';

/** An offer of one message session; `n` tells several apart. */
export function chat(host: string, n = 1, types: readonly string[] = ['text/plain']): OfferedMedia {
  return {
    address: host,
    media: [
      writeMessageMedia({
        secure: false,
        path: [`msrp://${host}:7394/s${n};tcp`],
        acceptTypes: types,
        setup: 'actpass',
      }),
    ],
  };
}

/** A description as a peer without a stack would send it. */
export function sdp(host: string, version = 1, lines: readonly string[] = messageLines(host)): string {
  return ['v=0', `o=- 77 ${version} IN IP4 ${host}`, 's=-', `c=IN IP4 ${host}`, 't=0 0', ...lines, ''].join(
    '\r\n',
  );
}

export function messageLines(host: string, session = 'peer'): readonly string[] {
  return [
    'm=message 2855 TCP/MSRP *',
    'a=accept-types:text/plain',
    'a=setup:passive',
    `a=path:msrp://${host}:2855/${session};tcp`,
  ];
}

export const audioLines: readonly string[] = ['m=audio 4000 RTP/AVP 0', 'a=rtpmap:0 PCMU/8000'];

export const withSdp = { 'Content-Type': 'application/sdp' };

/** A state in one word, with what tells it apart. */
export function word(state: SessionState): string {
  switch (state.kind) {
    case 'early':
      return `early ${state.status}`;
    case 'ended': {
      const { cause } = state;
      if ('by' in cause) return `ended ${cause.kind} ${cause.by}`;
      return 'status' in cause ? `ended ${cause.kind} ${cause.status}` : `ended ${cause.kind}`;
    }
    default:
      return state.kind;
  }
}

export interface Caller {
  readonly session: InviteSession;
  readonly states: string[];
}

export function call(rig: Rig, stack: Stack, options: Partial<InviteSessionOptions> = {}): Caller {
  const states: string[] = [];
  const session = createInviteSession(
    { stack, clock: rig.clock, random: createFakeRandom(71), log: rig.log },
    {
      to: 'sip:bob@10.0.0.2',
      from: 'sip:alice@10.0.0.1',
      offer: chat('10.0.0.1'),
      ...options,
      onState(state) {
        states.push(word(state));
        options.onState?.(state);
      },
    },
  );
  return { session, states };
}

export interface Callee {
  readonly server: InviteServer;
  readonly invitations: Invitation[];
  readonly states: string[];
  /** Accepts the last invitation. */
  accept(hooks?: SessionHooks, media?: OfferedMedia): InviteSession;
}

export function callee(rig: Rig, stack: Stack, options: Partial<InviteServerOptions> = {}): Callee {
  const invitations: Invitation[] = [];
  const states: string[] = [];
  const server = createInviteServer(
    { stack, clock: rig.clock, random: createFakeRandom(72), log: rig.log },
    { onInvite: (invitation) => void invitations.push(invitation), ...options },
  );
  stack.on('INVITE', server.handle);
  return {
    server,
    invitations,
    states,
    accept(hooks = {}, media = chat('10.0.0.2')) {
      const session = invitations.at(-1)?.accept(media, {
        ...hooks,
        onState(state) {
          states.push(word(state));
          hooks.onState?.(state);
        },
      });
      if (session === undefined) throw new Error('nothing to accept');
      return session;
    },
  };
}

/** Answers the peer's last INVITE with 200 and a description. */
export function answer200(
  peer: Peer,
  body = sdp(peer.address.host),
  headers: Record<string, string | readonly string[]> = {},
  tag = 'peer',
): SipRequest {
  const invite = peer.last('INVITE');
  peer.answer(
    invite,
    200,
    { Contact: `<sip:bob@${peer.address.host}:${peer.address.port}>`, ...withSdp, ...headers },
    body,
    tag,
  );
  return invite;
}

export function bodyOf(description: SessionDescription | undefined): string {
  return description === undefined ? '' : formatSdp(description).toString('latin1');
}

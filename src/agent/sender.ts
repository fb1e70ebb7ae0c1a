import {
  createDigestServer,
  type DigestServer,
  type Flow,
  type Incoming,
  parseNameAddr,
  parseUri,
  type Random,
  type SipRequest,
} from 'tiny-sip';
import type { Clock } from '../base/clock.ts';
import type { CommandUser } from './options.ts';

/** Who sent a request, or the answer that it gets instead. */
export type Sender =
  | { readonly ok: true; readonly uri: string; readonly headers: Readonly<Record<string, readonly string[]>> }
  | {
      readonly ok: false;
      readonly status: number;
      readonly reason?: string;
      readonly headers?: Readonly<Record<string, readonly string[]>>;
      readonly why: string;
    };

export interface SenderCheck {
  /** @param trusted whether the flow is one on which the server's word is believed */
  check(incoming: Incoming, trusted: boolean): Sender;
}

/**
 * Tells who sent a MESSAGE. A source address proves nothing, nor does From: only what the server asserts on the flow
 * that the agent itself opened to it (RFC 3325 §6), or a digest over the password of a named user.
 *
 * @param knows whether a sender is in the allow-list: of several asserted identities (RFC 3325 §9.1) that one counts
 */
export function createSenderCheck(
  deps: { readonly clock: Clock; readonly random: Random },
  options: { readonly realm: string; readonly users: readonly CommandUser[] },
  knows: (uri: string) => boolean,
): SenderCheck {
  const users = new Map<string, CommandUser>();
  for (const user of options.users) {
    users.set(user.aor, user);
    const name = parseUri(user.aor).user;
    // A bare user name means the first of those that share it.
    if (name !== undefined && !users.has(name)) users.set(name, user);
  }
  const digest: DigestServer | undefined =
    users.size === 0
      ? undefined
      : createDigestServer(deps, {
          realm: options.realm,
          lookup: (username) => {
            const user = users.get(username);
            return user && { password: user.password };
          },
        });

  return {
    check({ request, flow }, trusted) {
      if (trusted) {
        const asserted = assertedIn(request);
        const uri = asserted.find(knows) ?? asserted[0];
        if (uri !== undefined) return { ok: true, uri, headers: {} };
      }
      if (!digest) {
        const why = trusted
          ? 'the server asserts no identity'
          : flow.protocol === 'udp'
            ? 'by UDP, where nobody can vouch for a sender'
            : 'not by the flow to the server';
        return { ok: false, status: 403, why };
      }
      const verdict = digest.check(request, { source: sourceOf(flow) });
      if (!verdict.ok) return { ...verdict, why: `digest: ${verdict.cause}` };
      const user = users.get(verdict.user);
      if (!user) return { ok: false, status: 403, why: 'digest: unknown' };
      return { ok: true, uri: user.aor, headers: verdict.headers };
    },
  };
}

function assertedIn(request: SipRequest): string[] {
  return request.all('P-Asserted-Identity').flatMap((value) => {
    try {
      return [parseNameAddr(value).uri];
    } catch {
      return [];
    }
  });
}

function sourceOf(flow: Flow): string {
  return `${flow.protocol} ${flow.remote.host}`;
}

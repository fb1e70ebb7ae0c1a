import {
  createGruuMint,
  createRegistrationServer,
  type GruuMint,
  type Incoming,
  type Location,
  type Random,
  type RegisterVerdict,
  type RegistrationServer,
} from 'tiny-sip';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Accounts } from './accounts.ts';
import { type Domain, read } from './domain.ts';
import { type Gate, refuse } from './gate.ts';
import { inSeconds, type Lifetimes } from './options.ts';

export type Registrar = RegistrationServer;

/** The registrar of the edge's domains: who may register whom. The rest is tiny-sip's. */
export function createRegistrar(
  deps: {
    clock: Clock;
    log: Log;
    location: Location;
    gate: Gate;
    domain: Domain;
    accounts: () => Accounts;
    /** Makes globally routable URIs; absent: clients get none. */
    random?: Random;
  },
  options: { expires?: Lifetimes | undefined; bindings: number; bindingsPerAor: number },
): Registrar {
  const { clock, log, location, gate, domain, accounts } = deps;
  // Bindings over streams end with the process, so its temporary GRUUs may end with it too.
  const gruu: GruuMint | undefined = deps.random && createGruuMint({ random: deps.random });

  const authorise = (incoming: Incoming): RegisterVerdict => {
    const { request } = incoming;
    const target = read(request.uri);
    // RFC 3261 §10.3 step 1. A registrar is named without a user part (§10.2).
    if (!target || !domain.serves(target.host, target.port))
      return refuse(404, 'Not The Registrar Of That Domain');
    if (target.user !== undefined) return refuse(400, 'Request-URI Has A User Part');
    const identity = gate.identify(incoming);
    if (!identity.ok) return identity;
    const aor = request.to && domain.aor(request.to.uri);
    if (aor === undefined || !accounts().known(aor)) return refuse(404);
    if (!accounts().owns(identity.user, aor)) return refuse(403);
    return { ok: true, aor, ...(identity.headers && { headers: identity.headers }) };
  };

  return createRegistrationServer(
    { clock, log, location },
    {
      authorise,
      isOurs: (uri) => domain.serves(uri.host, uri.port),
      aorOf: (uri) => domain.aor(uri),
      expires: inSeconds(options.expires),
      bindings: options.bindings,
      bindingsPerAor: options.bindingsPerAor,
      ...(gruu && { gruu }),
    },
  );
}

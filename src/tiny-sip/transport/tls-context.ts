import { constants, X509Certificate } from 'node:crypto';
import {
  createSecureContext,
  rootCertificates,
  type SecureContext,
  type SecureContextOptions,
} from 'node:tls';
import { SipError } from '../errors.ts';
import { asciiName } from './certificate.ts';

/** PEM text. */
export type Pem = string | Buffer;

/** A certificate with its key. */
export interface TlsIdentity {
  /** The certificate and, behind it, those between it and the authority. */
  readonly cert: Pem;
  /** Private key of the certificate, PEM. */
  readonly key: Pem;
  /** Opens an encrypted key. */
  readonly passphrase?: string | undefined;
}

/** Who this side is, and whom it trusts. */
export interface TlsCredentials {
  /** Shown to clients, and to servers that ask. A transport that listens needs it or `domains`. */
  readonly identity?: TlsIdentity | undefined;
  /** Other identities for the domains that clients may ask for by server name (RFC 5922 §7.8). */
  readonly domains?: Readonly<Record<string, TlsIdentity>> | undefined;
  /** Certificate authorities; also a single certificate that its own key signed. */
  readonly ca?: Pem | readonly Pem[] | undefined;
  /**
   * `replace` (default): only those in `ca` are trusted. `add`: those that Node brings as well. Without `ca` Node's own
   * rules hold, `NODE_EXTRA_CA_CERTS` and `--use-openssl-ca` among them.
   */
  readonly roots?: 'replace' | 'add' | undefined;
  /** Revocation lists; once given, every authority in a chain needs one. */
  readonly crl?: Pem | readonly Pem[] | undefined;
}

/** Whom to believe, and which versions to speak. */
export interface TlsRules {
  /** Default TLSv1.2; older ones are not spoken. */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined;
  /** The newest version; default TLSv1.3. */
  readonly maxVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined;
  /** As OpenSSL writes it; default: Node's. */
  readonly ciphers?: string | undefined;
}

/** What a set of credentials comes to. */
export interface TlsContexts {
  readonly client: SecureContext;
  /** For a server: what `createServer` and `setSecureContext` take. */
  readonly server: SecureContextOptions;
  /** The one for a domain that was asked for; undefined: the general one. */
  forDomain(name: string): SecureContext | undefined;
  readonly hasIdentity: boolean;
}

/**
 * @param resumable whether a server may let clients take up an old session. Where certificates of clients matter it may
 * not: of a resumed session they are not verified again.
 * @throws SIP_CERTIFICATE_UNUSABLE
 */
export function createTlsContexts(
  credentials: TlsCredentials,
  rules: TlsRules,
  resumable: boolean,
): TlsContexts {
  const { identity, domains = {}, crl } = credentials;
  const rulesOnly: SecureContextOptions = {
    minVersion: rules.minVersion ?? 'TLSv1.2',
    ...(rules.maxVersion && { maxVersion: rules.maxVersion }),
    ...(rules.ciphers && { ciphers: rules.ciphers }),
    ...(crl !== undefined && { crl: list(crl) }),
  };
  try {
    const general = { ...rulesOnly, ...trusted(credentials) };
    const served: SecureContextOptions = {
      ...general,
      honorCipherOrder: true,
      secureOptions: resumable ? 0 : constants.SSL_OP_NO_TICKET,
    };
    const contexts = new Map<string, SecureContext>();
    for (const [name, one] of Object.entries(domains))
      contexts.set(asciiName(name), createSecureContext({ ...served, ...shown(one) }));
    const own = identity === undefined ? undefined : shown(identity);
    const server = { ...served, ...(own ?? firstOf(domains)) };
    // Made once for its errors: a server would only tell them when the first client comes.
    createSecureContext(server);
    return {
      client: createSecureContext({ ...general, ...own }),
      server,
      forDomain: (name) => contexts.get(asciiName(name)),
      hasIdentity: own !== undefined || contexts.size > 0,
    };
  } catch (cause) {
    throw new SipError('CERTIFICATE_UNUSABLE', { cause });
  }
}

function shown(identity: TlsIdentity): SecureContextOptions {
  const { cert, key, passphrase } = identity;
  if (!cert || !key) throw new Error('a certificate needs its key, and a key its certificate');
  return { cert, key, ...(passphrase !== undefined && { passphrase }) };
}

/** For clients that ask for no domain. */
function firstOf(domains: Readonly<Record<string, TlsIdentity>>): SecureContextOptions {
  const [first] = Object.values(domains);
  return first === undefined ? {} : shown(first);
}

function trusted({ ca, roots }: TlsCredentials): SecureContextOptions {
  if (ca === undefined) return {};
  const own = list(ca);
  // OpenSSL passes over what is no certificate, and would trust nobody without a word.
  for (const one of own) {
    const blocks = one.toString().match(CERTIFICATE) ?? [];
    if (blocks.length === 0) throw new Error('there is no certificate in ca');
    for (const block of blocks) new X509Certificate(block);
  }
  return { ca: roots === 'add' ? [...own, ...rootCertificates] : own };
}

const CERTIFICATE =
  /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;

function list(given: Pem | readonly Pem[]): Pem[] {
  return typeof given === 'string' || Buffer.isBuffer(given) ? [given] : [...given];
}

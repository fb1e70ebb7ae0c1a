export interface SipUri {
  /** Lower case: sip, sips, tel, pres, im, or another. */
  readonly scheme: string;
  /** Escapes kept as they are. For `tel` the number. */
  readonly user?: string;
  readonly password?: string;
  /** Lower case, IPv6 without brackets. '' for `tel` and for schemes that are not known. */
  readonly host: string;
  readonly port?: number;
  /** Names in lower case, values with escapes kept, '' for a bare name. */
  readonly params: ReadonlyMap<string, string>;
  readonly headers: ReadonlyMap<string, string>;
  /** What follows the scheme of a URI of another kind. */
  readonly opaque?: string;
}

/** Throws SipSyntaxError. A scheme that is not known gives `opaque`. */
export function parseUri(_text: string): SipUri {
  throw new Error('not built yet');
}

export interface UriInit {
  readonly scheme?: string | undefined;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly host: string;
  readonly port?: number | undefined;
  readonly params?: ReadonlyMap<string, string> | undefined;
  readonly headers?: ReadonlyMap<string, string> | undefined;
  readonly opaque?: string | undefined;
}

export function formatUri(_uri: UriInit): string {
  throw new Error('not built yet');
}

/** RFC 3261 §19.1.4. */
export function equalUri(_a: SipUri | string, _b: SipUri | string): boolean {
  throw new Error('not built yet');
}

/** One key for all ways of writing an AOR: scheme, user with escapes normalised, host; no port, no parameters. */
export function aorOf(_uri: SipUri | string): string {
  throw new Error('not built yet');
}

/** name-addr or addr-spec with its header parameters: From, To, Contact, Route, P-Asserted-Identity, … */
export interface NameAddr {
  /** Decoded: without quotes and escapes, as Unicode. */
  readonly display: string | undefined;
  /** As on the wire, without the angle brackets. */
  readonly uri: string;
  /** Names in lower case, values as on the wire (a quoted string keeps its quotes), '' for a bare name. */
  readonly params: ReadonlyMap<string, string>;
  /** One parameter, unquoted; name in lower case. '' when it has no value, undefined when absent. */
  param(name: string): string | undefined;
  readonly tag: string | undefined;
}

/** Reads one value. Throws SipSyntaxError; `what` names the header in it. */
export function parseNameAddr(_text: string, _what = 'address'): NameAddr {
  throw new Error('not built yet');
}

/**
 * Writes a name-addr, always with angle brackets. Parameter values are written as they are when they are
 * tokens, hosts or quoted strings, and quoted otherwise; `true` and '' give a bare name.
 */
export function formatNameAddr(_value: {
  readonly display?: string | undefined;
  readonly uri: string;
  readonly params?:
    | ReadonlyMap<string, string>
    | Readonly<Record<string, string | number | true | undefined>>
    | undefined;
}): string {
  throw new Error('not built yet');
}

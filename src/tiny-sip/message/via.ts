export interface Via {
  /** Upper case: `UDP`, `TCP`, `TLS`. */
  readonly transport: string;
  /** IPv6 without brackets. */
  readonly host: string;
  readonly port: number | undefined;
  readonly branch: string | undefined;
  readonly received: string | undefined;
  /** Undefined: no rport; 0: asked for (`;rport`); else the value. */
  readonly rport: number | undefined;
  readonly maddr: string | undefined;
  readonly params: ReadonlyMap<string, string>;
  param(name: string): string | undefined;
  /** `host:port` as sent, lower case: part of the transaction key (RFC 3261 §17.2.3). */
  readonly sentBy: string;
}

export interface ViaInit {
  readonly transport: string;
  readonly host: string;
  readonly port?: number | undefined;
  /** '' or `true` gives a bare name, undefined leaves it out. */
  readonly params?:
    | ReadonlyMap<string, string>
    | Readonly<Record<string, string | number | true | undefined>>
    | undefined;
}

export function parseVia(_text: string): Via {
  throw new Error('not built yet');
}

export function formatVia(_via: ViaInit): string {
  throw new Error('not built yet');
}

/** How the whole, or one thing in it, is. */
export type State = 'ok' | 'degraded' | 'down';

/** One identity at a SIP server. */
export interface AccountStatus {
  id: string;
  aor: string;
  state: State;
  /** `registering`, `registered`, `waiting`, `refused`, `removed`. */
  registration: string;
  /** Code of the error behind it. */
  code?: string;
  detail?: string;
  /** The server and how it is reached: `tcp 192.0.2.7:5060`. */
  server?: string;
  /** Seconds until the registration has to be renewed. */
  expiresIn?: number;
  /** How changes are published now, and what is configured. */
  publish: { strategy: 'diff' | 'segments' | 'full' | 'undecided'; configured: string; detail?: string };
  /** Set when requests to the own address do not come back. */
  nat?: string;
}

/** One serial port or broker. */
export interface SourceStatus {
  id: string;
  type: 'mqtt' | 'serial';
  /** The URL or the port. */
  where: string;
  state: 'starting' | 'up' | 'down';
  code?: string;
  cause?: string;
  counts: Record<string, number>;
}

export interface SignalStatus {
  value?: number | string | boolean;
  unit?: string;
  /** Why the value is not known. */
  cause?: string;
  /** Seconds since the last valid reading. */
  age?: number;
}

export interface DeviceStatus {
  id: string;
  name: string;
  aor?: string;
  account?: string;
  reach: 'reachable' | 'unreachable' | 'unknown';
  note: string;
  activity?: string;
  /** Seconds that it has been reachable, unreachable or unknown. */
  since?: number;
  /** Seconds since its youngest valid reading. */
  age?: number;
  code?: string;
  cause?: string;
  signals: Record<string, SignalStatus>;
}

/** The built-in presence server. */
export interface EdgeStatus {
  state: State;
  code?: string;
  detail?: string;
  domains: string[];
  /** `udp:127.0.0.1:5070` */
  listen: string[];
  counts: Record<string, number>;
}

/** What `presentity status` tells. Part of the interface: fields are added, never changed. */
export interface StatusReport {
  /** Of this report's form. */
  report: 1;
  /** Of the program. */
  version: string;
  state: State;
  pid: number;
  /** Seconds since the start. */
  uptime: number;
  /** RFC 3339; absent while the wall clock is not set. */
  time?: string;
  /** The configuration file. */
  config?: string;
  /** Resident memory in bytes. */
  memory: number;
  accounts: AccountStatus[];
  sources: SourceStatus[];
  devices: DeviceStatus[];
  edge?: EdgeStatus;
  /** Counters of the process, by a dotted name. */
  counts: Record<string, number>;
}

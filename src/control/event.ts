/** What happens in a running daemon, as `tail` shows it. Every event carries `at`, monotonic milliseconds. */
export type DaemonEvent =
  | DeviceEvent
  | SourceEvent
  | AccountEvent
  | PublishEvent
  | NotifyEvent
  | CommandEvent;

interface At {
  /** Monotonic milliseconds of the daemon's clock. */
  at: number;
}

/** A device's state changed. */
export interface DeviceEvent extends At {
  type: 'device';
  device: string;
  reach: 'reachable' | 'unreachable' | 'unknown';
  note: string;
}

/** A source came up or went down. */
export interface SourceEvent extends At {
  type: 'source';
  source: string;
  state: 'starting' | 'up' | 'down';
  cause?: string;
}

/** An account's registration, or what it learnt of its server, changed. */
export interface AccountEvent extends At {
  type: 'account';
  account: string;
  aor: string;
  state: string;
  detail?: string;
}

/** A PUBLISH was answered (agent) or handled (edge). */
export interface PublishEvent extends At {
  type: 'publish';
  side: 'agent' | 'edge';
  aor: string;
  kind: 'whole' | 'diff' | 'segment' | 'refresh' | 'remove';
  /** Bytes of the whole request on the wire. */
  bytes: number;
  status: number | 'timeout' | 'failed';
}

/** The edge sent a NOTIFY. */
export interface NotifyEvent extends At {
  type: 'notify';
  watcher: string;
  resource: string;
  bytes: number;
}

/** A command arrived and was carried out or not. */
export interface CommandEvent extends At {
  type: 'command';
  from: string;
  text: string;
  outcome: 'done' | 'refused' | 'failed' | 'unknown' | 'ignored';
  answer?: string;
}

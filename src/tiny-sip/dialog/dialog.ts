/** A dialog's state (RFC 3261 §12) as plain JSON. */
export interface DialogRecord {
  readonly callId: string;
  readonly localTag: string;
  readonly remoteTag: string;
  /** From and To of our requests, as URIs: from the dialog, never from a Contact. */
  readonly localUri: string;
  readonly remoteUri: string;
  /** Request-URI of our requests: the peer's Contact. */
  readonly remoteTarget: string;
  readonly routeSet: readonly string[];
  readonly localSeq: number;
  readonly remoteSeq: number | undefined;
}

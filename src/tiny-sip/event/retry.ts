/** Why something did not work, as states and logs tell it. */
export interface Failure {
  /** Final status, when there was one. */
  readonly status?: number;
  /** Reason phrase, or what the transport said; short, lower case where it is ours. */
  readonly reason: string;
  readonly kind: 'response' | 'timeout' | 'failed';
}

import type { SipRequest, Stack } from 'tiny-sip';
import type { Domain } from './domain.ts';

/** What passes through the edge, for people who look on. */
export type EdgeEvent =
  | {
      readonly type: 'notify';
      readonly watcher: string;
      readonly resource: string;
      /** Bytes of the whole request. */
      readonly bytes: number;
      readonly reason: 'initial' | 'change' | 'refresh' | 'expired';
    }
  | {
      readonly type: 'publish';
      readonly aor: string;
      readonly kind: 'whole' | 'diff' | 'refresh' | 'remove';
      /** Bytes of the whole request. */
      readonly bytes: number;
      readonly status: number;
    };

/** Requests that wait for their answer are remembered up to here. */
const REMEMBERED = 1_000;

/** Tells `onEvent` of every PUBLISH that was answered and every NOTIFY that went out; retransmissions count once. */
export function watchTraffic(stack: Stack, domain: Domain, onEvent: (event: EdgeEvent) => void): () => void {
  const asked = new Map<string, { request: SipRequest; bytes: number }>();
  // By dialog: the highest CSeq seen of NOTIFY, and whether a SUBSCRIBE came since.
  const dialogs = new Map<string, { seq: number; reason: 'initial' | 'refresh' | 'change' }>();

  const bounded = <Value>(map: Map<string, Value>, key: string, value: Value): void => {
    map.set(key, value);
    if (map.size <= REMEMBERED) return;
    const [oldest] = map.keys();
    if (oldest !== undefined) map.delete(oldest);
  };
  const aorOf = (uri: string | undefined): string => (uri && domain.aor(uri)) || uri || '';

  const notified = (request: SipRequest, bytes: number): void => {
    const callId = request.callId ?? '';
    const seq = request.cseq?.number ?? 0;
    const dialog = dialogs.get(callId);
    if (dialog && seq <= dialog.seq) return;
    const ended = /^\s*terminated/i.test(request.get('Subscription-State') ?? '');
    const reason = ended ? 'expired' : (dialog?.reason ?? 'initial');
    if (ended) dialogs.delete(callId);
    else bounded(dialogs, callId, { seq, reason: 'change' });
    onEvent({
      type: 'notify',
      watcher: aorOf(request.to?.uri),
      resource: aorOf(request.from?.uri),
      bytes,
      reason,
    });
  };

  return stack.onTrace((direction, _flow, message, bytes) => {
    const method = message.cseq?.method;
    if (message.kind === 'request') {
      if (direction === 'out' && method === 'NOTIFY') notified(message, bytes.length);
      if (direction === 'in' && method === 'PUBLISH')
        bounded(asked, keyOf(message), { request: message, bytes: bytes.length });
      const dialog = method === 'SUBSCRIBE' && dialogs.get(message.callId ?? '');
      if (dialog) dialog.reason = 'refresh';
      return;
    }
    if (direction !== 'out' || method !== 'PUBLISH') return;
    const waiting = asked.get(keyOf(message));
    if (!waiting || !asked.delete(keyOf(message))) return;
    const { request } = waiting;
    onEvent({
      type: 'publish',
      aor: aorOf(request.uri),
      kind: kindOf(request),
      bytes: waiting.bytes,
      status: message.status,
    });
  });
}

function keyOf(message: { callId: string | undefined; cseq: { number: number } | undefined }): string {
  return `${message.callId} ${message.cseq?.number}`;
}

function kindOf(request: SipRequest): 'whole' | 'diff' | 'refresh' | 'remove' {
  if (request.expires === 0) return 'remove';
  if (request.body.length === 0) return 'refresh';
  if (request.contentType?.essence !== 'application/pidf-diff+xml') return 'whole';
  return /<(?:[\w.-]+:)?pidf-diff\b/.test(request.text()) ? 'diff' : 'whole';
}

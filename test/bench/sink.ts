/**
 * A stand-in for the SIP server of a benchmark: it believes everything, answers at once, and notes when each PUBLISH
 * arrived. It reads no more of a message than it must, so that it costs little beside what is measured.
 */
import { createSocket, type RemoteInfo } from 'node:dgram';

export interface Sink {
  readonly port: number;
  readonly counts: { readonly publications: number; readonly bytes: number; readonly requests: number };
  /** Hears each PUBLISH: its whole text and when it arrived (performance.now()). */
  onPublish(listener: (text: string, at: number) => void): void;
  /** Hears the method of every request. */
  onRequest(listener: (method: string) => void): void;
  close(): Promise<void>;
}

/** Starts it on a free UDP port of 127.0.0.1. */
export async function startSink(): Promise<Sink> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(0, '127.0.0.1', resolve);
  });
  const port = socket.address().port;
  const listeners: ((text: string, at: number) => void)[] = [];
  const requestListeners: ((method: string) => void)[] = [];
  const counts = { publications: 0, bytes: 0, requests: 0 };
  let tags = 0;

  const line = (text: string, names: string): string =>
    new RegExp(`^(?:${names})\\s*:\\s*(.*)$`, 'im').exec(text)?.[1]?.trim() ?? '';

  const answer = (text: string, from: RemoteInfo, status: string, more: readonly string[]): void => {
    const vias = [...text.matchAll(/^(?:via|v)\s*:\s*(.*)$/gim)].map((match) => match[1]?.trim() ?? '');
    const seen = vias.map((via, index) =>
      index === 0 ? via.replace(/;rport(?=;|$)/, `;received=${from.address};rport=${from.port}`) : via,
    );
    const to = line(text, 'to|t');
    const lines = [
      `SIP/2.0 ${status}`,
      ...seen.map((via) => `Via: ${via}`),
      `From: ${line(text, 'from|f')}`,
      `To: ${/;\s*tag=/.test(to) ? to : `${to};tag=sink`}`,
      `Call-ID: ${line(text, 'call-id|i')}`,
      `CSeq: ${line(text, 'cseq')}`,
      ...more,
      'Content-Length: 0',
      '',
      '',
    ];
    socket.send(lines.join('\r\n'), from.port, from.address);
  };

  socket.on('message', (bytes, from) => {
    const at = performance.now();
    if (bytes.length < 16) return;
    const text = bytes.toString('utf8');
    if (text.startsWith('SIP/2.0')) {
      // The answer to what was sent back below: the upper Via is ours, the rest finds its way home.
      const home = text.replace(/^(?:via|v)\s*:.*\r\n/im, '');
      socket.send(home, from.port, from.address);
      return;
    }
    counts.requests += 1;
    const method = text.slice(0, text.indexOf(' '));
    for (const listener of requestListeners) listener(method);
    if (method === 'PUBLISH') {
      counts.publications += 1;
      counts.bytes += bytes.length;
      tags += 1;
      answer(text, from, '200 OK', [`SIP-ETag: t${tags}`, `Expires: ${line(text, 'expires') || '120'}`]);
      for (const listener of listeners) listener(text, at);
    } else if (method === 'REGISTER') {
      const contact = line(text, 'contact|m');
      const expires = line(text, 'expires') || '600';
      answer(text, from, '200 OK', contact === '' ? [] : [`Contact: ${contact};expires=${expires}`]);
    } else if (method === 'OPTIONS' && /^OPTIONS sips?:[^ ]+@/.test(text)) {
      // Whoever asks for himself gets his own question back (is the way in open?).
      const via = `Via: SIP/2.0/UDP 127.0.0.1:${port};branch=z9hG4bKsink${counts.requests}\r\n`;
      const end = text.indexOf('\r\n') + 2;
      socket.send(text.slice(0, end) + via + text.slice(end), from.port, from.address);
    } else {
      answer(text, from, method === 'OPTIONS' ? '200 OK' : '405 Method Not Allowed', []);
    }
  });

  return {
    port,
    counts,
    onPublish: (listener) => void listeners.push(listener),
    onRequest: (listener) => void requestListeners.push(listener),
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

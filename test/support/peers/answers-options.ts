import { createSocket } from 'node:dgram';

/** How often the question is put while the server comes up, in milliseconds. */
const ASK_EVERY = 50;

/** Resolves when a SIP server on 127.0.0.1 answers OPTIONS over UDP, with whatever status; rejects after `limit` ms. */
export function answersOptions(port: number, limit = 10_000): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    let asked = 0;
    let timer: NodeJS.Timeout | undefined;
    const end = (error?: Error): void => {
      clearInterval(timer);
      socket.close();
      if (error) reject(error);
      else resolve();
    };
    socket.on('message', () => end());
    // A port that nobody holds yet answers with an ICMP error.
    socket.on('error', () => {});
    socket.bind(0, '127.0.0.1', () => {
      const mine = `127.0.0.1:${socket.address().port}`;
      const ask = (): void => {
        asked += 1;
        if (asked * ASK_EVERY > limit) {
          end(new Error(`nobody answers OPTIONS on port ${port} within ${limit} ms`));
          return;
        }
        const lines = [
          `OPTIONS sip:127.0.0.1:${port} SIP/2.0`,
          `Via: SIP/2.0/UDP ${mine};rport;branch=z9hG4bKready${asked}`,
          'Max-Forwards: 10',
          `From: <sip:ready@${mine}>;tag=ready`,
          `To: <sip:127.0.0.1:${port}>`,
          `Call-ID: ready${asked}@${mine}`,
          'CSeq: 1 OPTIONS',
          'Content-Length: 0',
          '',
          '',
        ];
        socket.send(lines.join('\r\n'), port, '127.0.0.1', () => {});
      };
      timer = setInterval(ask, ASK_EVERY);
      ask();
    });
  });
}

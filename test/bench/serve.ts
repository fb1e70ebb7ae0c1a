/**
 * The serving side of the comparison of rates, a program of its own: `uas` answers each MESSAGE with a 200 through
 * server transactions, `echo` answers whatever comes with so many bytes and looks at nothing. Prints the port on its
 * first line; then, for each line that it reads, what it has answered and the CPU microseconds that it took.
 *
 *     serve uas|echo udp|tcp [bytes of the echo's answer]
 */
import { createSocket } from 'node:dgram';
import { type AddressInfo, createServer } from 'node:net';
import {
  createNodeDeps,
  createStack,
  createTcpTransport,
  createUdpTransport,
} from '../../src/tiny-sip/index.ts';

const [kind, protocol, size = '300'] = process.argv.slice(2);
const host = '127.0.0.1';
let answered = 0;

async function uas(): Promise<number> {
  const deps = createNodeDeps();
  const transport =
    protocol === 'udp'
      ? createUdpTransport(deps, { host, port: 0 })
      : createTcpTransport(deps, { host, port: 0 });
  // Timer J is 64 × T1: with the default, nothing but a table of 50,000 would be measured, and the start of the program.
  const stack = createStack(deps, { transports: [transport], timers: { t1: 20 } });
  stack.on('MESSAGE', (incoming) => {
    answered += 1;
    incoming.respond(200);
  });
  await stack.start();
  return transport.local.port;
}

function echo(): Promise<number> {
  const answer = Buffer.alloc(Number(size), 0x2e);
  return new Promise((resolve) => {
    if (protocol === 'udp') {
      const socket = createSocket('udp4');
      socket.on('message', (_bytes, from) => {
        answered += 1;
        socket.send(answer, from.port, from.address);
      });
      socket.bind(0, host, () => resolve(socket.address().port));
      return;
    }
    const server = createServer((socket) => {
      socket.setNoDelay(true);
      socket.on('error', () => socket.destroy());
      socket.on('data', () => {
        answered += 1;
        socket.write(answer);
      });
    });
    server.listen(0, host, () => resolve((server.address() as AddressInfo).port));
  });
}

console.log(JSON.stringify({ port: await (kind === 'uas' ? uas() : echo()) }));
process.stdin.on('data', () => {
  const { user, system } = process.cpuUsage();
  console.log(JSON.stringify({ answered, cpu: user + system }));
});
process.stdin.on('end', () => process.exit(0));
process.once('SIGTERM', () => process.exit(0));

/**
 * A process that sends so many transactions over a memory network that loses, doubles and delays datagrams, on a clock
 * of its own, and says in JSON what is left of them. Every request is a transaction at the client and one at the server.
 * Argument: how many transactions. Wants --expose-gc.
 */
import { type Address, createMemoryNetwork, createRequest, createStack, type Outcome } from 'tiny-sip';
import { createFakeClock } from '../support/fake-clock.ts';
import { createFakeRandom } from '../support/fake-random.ts';
import { text, wire } from './rig.ts';

const total = Number(process.argv[2] ?? 100_000) / 2;
/** Requests at a time. */
const BATCH = 500;
/** In these many the code paths get warm, before anything is measured. */
const WARM = 5_000;
/** Longer than timers F, H and J with everything before them. */
const REST = 80_000;

const silence = (): void => undefined;
const log = { debug: silence, info: silence, warn: silence, error: silence };
const clock = createFakeClock();
const dice = createFakeRandom(41);
const network = createMemoryNetwork(
  { clock },
  {
    protocol: 'udp',
    fate() {
      const roll = dice.float();
      if (roll < 0.06) return [];
      if (roll < 0.1) return [0, 3];
      if (roll < 0.14) return [700];
      return [0];
    },
  },
);
const random = createFakeRandom(42);
const SERVER: Address = { host: '10.0.0.2', port: 5060 };
const server = createStack({ clock, log, random }, { transports: [network.transport(SERVER)] });
const client = createStack(
  { clock, log, random },
  { transports: [network.transport({ host: '10.0.0.1', port: 5060 })] },
);
await Promise.all([server.start(), client.start()]);

server.on('MESSAGE', (incoming) => {
  const roll = dice.float();
  // Never answered, answered late after a 100, refused, accepted.
  if (roll < 0.01) return;
  if (roll < 0.03) {
    incoming.respond(100);
    clock.after(5_000, () => incoming.respond(200));
  } else incoming.respond(roll < 0.1 ? 404 : 200);
});
server.on('INVITE', (incoming) => incoming.respond(486));

/** A caller without a stack: half of its INVITEs are never acknowledged. */
const caller = network.transport({ host: '10.0.0.9', port: 5060 });
await caller.start({
  message(flow, _bytes, parsed) {
    if (!parsed.ok || parsed.message.kind !== 'response' || parsed.message.status < 200) return;
    const response = parsed.message;
    const { topVia, cseq, callId = '' } = response;
    if ((cseq?.number ?? 0) % 2 === 0) return;
    const to = response.get('To') ?? '';
    const init = { branch: topVia?.branch ?? '', callId, cseq: cseq?.number ?? 0, to };
    flow.send(wire(text('ACK', 'sip:x@10.0.0.2', init)));
  },
  closed: silence,
  broken: silence,
});

const target = { protocol: 'udp', ...SERVER, name: SERVER.host } as const;
const came: Record<string, number> = {};
const count = (outcome: Outcome): void => {
  const what = outcome.kind === 'response' ? String(outcome.response.status) : outcome.kind;
  came[what] = (came[what] ?? 0) + 1;
};

let sent = 0;
let calls = 0;
async function some(many: number): Promise<void> {
  for (const end = sent + many; sent < end; ) {
    const size = Math.min(BATCH, end - sent);
    const outcomes: Promise<void>[] = [];
    for (let n = 0; n < size; n += 1) {
      sent += 1;
      if (n % 50 === 0) {
        calls += 1;
        const init = { branch: `z9hG4bKcall${calls}`, callId: `call-${calls}`, cseq: calls };
        caller.connect(SERVER).send(wire(text('INVITE', 'sip:x@10.0.0.2', init)));
      } else {
        const body = `reading ${sent}`;
        outcomes.push(
          client
            .send(createRequest({ method: 'MESSAGE', uri: 'sip:bob@10.0.0.2', body }), { target })
            .then(count),
        );
      }
    }
    await clock.advance(REST);
    await Promise.all(outcomes);
  }
}

/** Bytes in use, and what the tables hold. */
async function rest(): Promise<{ heap: number; left: Record<string, number> }> {
  let heap = Number.POSITIVE_INFINITY;
  for (let n = 0; n < 4; n += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    (globalThis as { gc?: () => void }).gc?.();
    heap = Math.min(heap, process.memoryUsage().heapUsed);
  }
  const left: Record<string, number> = { 'clock timers': clock.pending() };
  for (const [who, stack] of [
    ['client', client],
    ['server', server],
  ] as const)
    for (const [name, value] of Object.entries(stack.counts()))
      if (/^(?:transactions\.|dialogs$|timers$)/.test(name)) left[`${who} ${name}`] = value;
  return { heap, left };
}

const half = total / 2;
await some(WARM);
const start = await rest();
await some(half);
const middle = await rest();
await some(half);
const end = await rest();
const { retransmitted = 0 } = client.counts();
const { absorbed = 0, unanswered = 0 } = server.counts();
console.log(
  JSON.stringify({
    transactions: 2 * (sent - WARM),
    came,
    retransmitted,
    absorbed,
    unanswered,
    left: [start.left, middle.left, end.left],
    /** Bytes of heap for each transaction, in either half. */
    slope: [(middle.heap - start.heap) / (2 * half), (end.heap - middle.heap) / (2 * half)],
    heap: end.heap,
  }),
);
await client.stop();
await server.stop();
await caller.stop();

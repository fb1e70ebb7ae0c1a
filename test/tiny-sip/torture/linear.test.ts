/** The worst heads that one can think of, through a whole stack: read, checked, handled, answered and written. */
import { createStack, type Flow, type Receiver, type SipMessage, type Transport } from 'tiny-sip';
import * as assert from 'uvu/assert';
import { parseMessage } from '../../../src/tiny-sip/message/parse.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { createFakeRandom } from '../../support/fake-random.ts';
import { suite } from '../../support/harness.ts';
import { assertLinear } from '../linear.ts';
import { request } from '../message/messages.ts';
import { createQuietLog } from '../rig.ts';

const test = suite('torture, linear', { timeout: 60_000 });

/** A transport that hands up what it is given at once, and counts what comes down. */
function createHandUp(): {
  readonly transport: Transport;
  readonly sent: Buffer[];
  give(bytes: Buffer): void;
} {
  let receiver: Receiver | undefined;
  const sent: Buffer[] = [];
  const address = { host: '192.0.2.1', port: 5060 };
  const flow: Flow = {
    id: 1,
    protocol: 'tcp',
    reliable: true,
    local: address,
    remote: address,
    opened: false,
    state: 'open',
    ready: () => Promise.resolve(),
    send(bytes) {
      sent.push(bytes);
      return Promise.resolve();
    },
    keepAlive: () => () => undefined,
    onClose: () => () => undefined,
    close: () => undefined,
  };
  const transport: Transport = {
    protocol: 'tcp',
    local: address,
    async start(given) {
      receiver = given;
    },
    connect: () => flow,
    stop: () => Promise.resolve(),
    counts: () => ({}),
  };
  return { transport, sent, give: (bytes) => receiver?.message(flow, bytes, parseMessage(bytes)) };
}

/** Everything that handlers and proxies do to a message. */
function handle(message: SipMessage): void {
  for (const ask of [
    () => message.vias.length,
    () => message.contacts.length,
    () => message.routes.length,
    () => message.all('Supported').length,
    () => [...message.headerNames()].map((name) => message.lines(name)),
    () => message.copy().removeFirst('Via'),
    () => message.copy().removeFirst('Route'),
    () => message.copy().remove('X').set('Y', '1').prepend('Via', 'SIP/2.0/UDP a'),
  ]) {
    try {
      ask();
    } catch (error) {
      if (!(error instanceof Error) || error.name !== 'SipSyntaxError') throw error;
    }
  }
}

const families: Record<string, (n: number) => string> = {
  'vias in one line': (n) => request(`v: ${'SIP/2.0/UDP a;branch=1,'.repeat(n / 23)}SIP/2.0/UDP b\r\n`),
  'vias in the top line': (n) =>
    request('').replace(
      'Via: ',
      `Via: SIP/2.0/UDP x;rport;branch=z9hG4bKa,${'SIP/2.0/UDP a;branch=1,'.repeat(n / 23)}`,
    ),
  'parameters of the top Via': (n) =>
    request('').replace(
      /z9hG4bK1/,
      `z9hG4bK1;rport${Array.from({ length: n / 8 }, (_, i) => `;p${i}=x`).join('')}`,
    ),
  'parameters of the top Via whose names end in rport': (n) =>
    request('').replace(/z9hG4bK1/, `z9hG4bK1;rport${';xrport'.repeat(n / 7)}`),
  'quoted parameters of the top Via': (n) =>
    request('').replace(/z9hG4bK1/, `z9hG4bK1;rport${';x=";rport"'.repeat(n / 11)}`),
  'options required': (n) => request(`Require: ${'x,'.repeat(n / 2)}y\r\n`),
  'parameters of To': (n) =>
    request('').replace('To: <sip:bob@example.com>', `To: <sip:b@c>${';a'.repeat(n / 2)}`),
  'a long tag': (n) => request('').replace('tag=1', `tag=${'1'.repeat(n)}`),
  routes: (n) => request(`Route: ${'<sip:a>,'.repeat(n / 8)}<sip:b>\r\n`),
  'lines that are none': (n) => request('no colon here\r\n'.repeat(Math.min(400, n / 15))) + ' '.repeat(n),
  'an endless quote': (n) => request(`Subject: "${'\\"'.repeat(n / 2)}\r\n`),
  folds: (n) => request(`Subject: a\r\n${' b\r\n'.repeat(n / 4)}`),
  'folds in Via': (n) =>
    request('').replace('SIP/2.0/UDP 192', `SIP/2.0/UDP\r\n${' \r\n'.repeat(n / 3)} 192`),
  nuls: (n) => request(`Subject: "${'\\\0'.repeat(n / 2)}"\r\n`),
  'a broken start line': (n) => `OPTIONS  sip:${'a'.repeat(n)} SIP/2.0\r\n\r\n`,
  'no end': (n) => request(`X: ${'y'.repeat(n)}\r\n`).slice(0, -4),
};

test('S42: no head costs a stack more than linear time', async () => {
  const hand = createHandUp();
  const stack = createStack(
    { clock: createFakeClock(), log: createQuietLog(), random: createFakeRandom(79) },
    { transports: [hand.transport], limits: { serverTransactions: 1_000_000 } },
  );
  stack.on('*', (incoming) => {
    handle(incoming.request);
    incoming.respond(200, { headers: { Contact: incoming.request.lines('Contact') } });
  });
  stack.onTrace((_direction, _flow, message) => handle(message));
  await stack.start();
  let number = 0;
  assertLinear(
    families,
    (text) => {
      // Several, each a transaction of its own, so that there is something to measure.
      for (let one = 0; one < 4; one += 1) {
        number += 1;
        hand.give(
          Buffer.from(
            text.replace('z9hG4bK', `z9hG4bK${number}x`).replace('Call-ID: ', `Call-ID: ${number}`),
            'latin1',
          ),
        );
      }
    },
    7_000,
  );
  assert.ok(hand.sent.length > 100);
  assert.is(stack.counts()['in.unmade'], 0);
  await stack.stop();
});

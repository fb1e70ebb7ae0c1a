/** OPTIONS over the flow of a registration, for servers that know no STUN: a NAT that forgets is found all the same. */
import { createRegistration, createStack, type RegistrationState, type SipRequest } from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createFakeRandom } from '../../support/fake-random.ts';
import { suite } from '../../support/harness.ts';
import { createRig, type Peer, type Rig } from '../rig.ts';

const test = suite('tiny-sip probes');

const keepAlive = { datagram: 25_000, stream: 25_000, pong: 10_000, probe: true } as const;

interface Scene {
  readonly clock: Rig['clock'];
  readonly server: Peer;
  readonly states: RegistrationState[];
  /** Why flows were closed. */
  readonly closed: unknown[];
  /** The port that the NAT gave us. */
  port: number;
  /** What comes back is lost. */
  deaf: boolean;
  /** What the server answers to OPTIONS. */
  readonly status: number | 'nothing';
  end(): Promise<void>;
}

async function scene(
  protocol: 'udp' | 'tcp' = 'udp',
  headers: Record<string, string> = {},
  status: number | 'nothing' = 483,
): Promise<Scene> {
  const rig = createRig({
    protocol,
    ...(protocol === 'udp' && { fate: ({ from }) => (one.deaf && from.host === '10.0.0.2' ? [] : [0]) }),
  });
  const server = await rig.peer('10.0.0.2');
  const deps = { clock: rig.clock, log: rig.log, random: createFakeRandom(6) };
  const stack = createStack(deps, { transports: [rig.network.transport({ host: '10.0.0.1', port: 5060 })] });
  await stack.start();
  const registration = createRegistration(
    { stack, ...deps },
    {
      aor: 'sip:gateway@example.com',
      way: () => ({ target: { protocol, host: '10.0.0.2', port: 5060, name: 'example.com' } }),
      keepAlive,
      expires: 3600,
      onState: (state) => void one.states.push(state),
    },
  );
  const one: Scene = {
    clock: rig.clock,
    server,
    states: [],
    closed: [],
    port: 40_000,
    deaf: false,
    status,
    async end() {
      registration.stop();
      const { length } = server.requests();
      await rig.clock.advance(60_000);
      assert.is(server.requests().length, length, 'nothing after the end');
      await stack.stop();
      assert.is(rig.clock.pending(), 0);
    },
  };
  stack.onFlowClosed((_flow, cause) => one.closed.push((cause as { code?: string } | undefined)?.code));
  server.onRequest = (request) => {
    const seen = seenBy(request, one.port);
    if (request.method === 'REGISTER')
      server.answer(seen(), 200, { Contact: request.lines('Contact'), Expires: 3600, ...headers });
    else if (one.status !== 'nothing') server.answer(seen(), one.status);
  };
  registration.start();
  await rig.clock.advance(1_000);
  assert.is(registration.state.kind, 'registered');
  return one;
}

/** The request as a server behind that NAT has it. Peers answer by the request they got, so it is changed in place. */
function seenBy(request: SipRequest, port: number): () => SipRequest {
  return () => {
    const via = request.removeFirst('Via') ?? '';
    request.prepend('Via', via.replace(';rport', `;received=192.0.2.7;rport=${port}`));
    return request;
  };
}

// UA                        NAT                    server
//  |--OPTIONS (Max-Forwards: 0)------------------->|   every 20 to 25 s
//  |<--483-----------------------------------------|   any answer will do
//  |--OPTIONS-------------------------------------->|
//  |                         X<--483----------------|   forgotten
//  |   10 s: the flow is closed, and opened anew
//  |--REGISTER------------------------------------->|
test('S30: a NAT that drops without a word is found by OPTIONS in less than 40 s, where STUN is not promised', async () => {
  const one = await scene();
  await one.clock.advance(600_000);
  const asked = one.server.requests('OPTIONS');
  assert.ok(asked.length >= 23 && asked.length <= 30, `${asked.length} in ten minutes`);
  assert.is(asked[0]?.get('Max-Forwards'), '0');
  assert.is(asked[0]?.uri, 'sip:example.com');
  assert.is(one.server.requests('REGISTER').length, 1);
  for (let time = 1; time <= 3; time += 1) {
    one.deaf = true;
    const began = one.clock.now();
    while (one.closed.length < time && one.clock.now() - began < 60_000) await one.clock.advance(1_000);
    assert.ok(one.clock.now() - began < 40_000, `found after ${one.clock.now() - began} ms`);
    assert.is(one.closed.at(-1), 'SIP_FLOW_SILENT');
    one.deaf = false;
    await one.clock.advance(120_000);
    assert.is(one.states.at(-1)?.kind, 'registered');
  }
  await one.end();
});

// A rebooted NAT answers by another mapping: all that we send is answered, and nothing that is sent to us arrives.
test('S30: a NAT that gave us another port is found by the next OPTIONS, and the registrar is told', async () => {
  const one = await scene();
  await one.clock.advance(100_000);
  one.port = 40_001;
  await one.clock.advance(27_000);
  assert.equal(one.closed, ['SIP_FLOW_MOVED']);
  await one.clock.advance(2_000);
  assert.is(one.server.requests('REGISTER').length, 2);
  const state = one.states.at(-1);
  assert.equal(state?.kind === 'registered' && state.observed, { host: '192.0.2.7', port: 40_001 });
  await one.clock.advance(200_000);
  assert.is(one.server.requests('REGISTER').length, 2, 'and all is well');
  await one.end();
});

test('of a server that answers no OPTIONS silence proves nothing', async () => {
  const one = await scene('udp', {}, 'nothing');
  await one.clock.advance(600_000);
  assert.equal(one.closed, []);
  assert.is(one.server.requests('REGISTER').length, 1);
  await one.end();
});

for (const [what, protocol, headers] of [
  ['where STUN does it', 'udp', { Require: 'outbound' }],
  ['where pongs do it', 'tcp', {}],
] as const)
  test(`no OPTIONS ${what}`, async () => {
    const one = await scene(protocol, headers);
    await one.clock.advance(100_000);
    assert.is(one.server.requests('OPTIONS').length, 0);
    await one.end();
  });

import {
  createDigestClient,
  createRequest,
  createStack,
  createTcpTransport,
  createUdpTransport,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createSystemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createSystemRandom } from '../../src/base/random.ts';
import { createEdge } from '../../src/edge/edge.ts';
import { createFakeFiles } from '../support/fake-files.ts';
import { suite } from '../support/harness.ts';

const test = suite('edge sockets');

const deps = {
  clock: createSystemClock(),
  random: createSystemRandom(),
  log: silentLog,
  files: createFakeFiles(),
};
const users = { alice: 'a' };
const ALICE = 'sip:alice@test.local';

for (const protocol of ['udp', 'tcp'] as const) {
  test(`a listener on all addresses names one of them, and is reached by it, ${protocol}`, async () => {
    const edge = createEdge(deps, {
      domains: ['test.local'],
      listen: [{ protocol, host: '0.0.0.0', port: 0 }],
      users,
    });
    await edge.start(new AbortController().signal);
    const [address] = edge.addresses();
    const port = address?.port ?? 0;
    const transport =
      protocol === 'udp'
        ? createUdpTransport(deps, { host: '127.0.0.1', port: 0 })
        : createTcpTransport(deps, { listen: false });
    const stack = createStack(deps, { transports: [transport] });
    await stack.start();
    const target = { protocol, host: '127.0.0.1', port, name: '' };
    const credentials = createDigestClient(deps, { username: 'alice', password: 'a' });
    const told: string[] = [];
    let heard: () => void = () => {};
    stack.on('NOTIFY', (incoming) => {
      told.push(incoming.request.get('Subscription-State') ?? '');
      incoming.respond(200);
      heard();
    });
    const notified = (): Promise<void> => new Promise((resolve) => (heard = resolve));
    const subscribe = async (uri: string, headers: Record<string, string>) => {
      const request = createRequest({
        method: 'SUBSCRIBE',
        uri,
        headers: { Event: 'presence', Contact: '<sip:alice@127.0.0.1:9>', ...headers },
      });
      const outcome = await stack.send(request, { target, credentials });
      assert.is(outcome.kind, 'response');
      if (outcome.kind !== 'response') throw new Error(outcome.kind);
      return outcome.response;
    };

    let next = notified();
    // By the address of the server, as people without DNS do it.
    const alias = `sip:alice@127.0.0.1:${port}`;
    const first = await subscribe(alias, { From: `<${ALICE}>;tag=a`, To: `<${alias}>`, Expires: '600' });
    assert.is(first.status, 200);
    await next;
    const contact = first.contacts === '*' ? undefined : first.contacts[0]?.uri;
    assert.match(contact ?? '', new RegExp(`@127\\.0\\.0\\.1:${port}`));

    next = notified();
    const second = await subscribe(contact ?? '', {
      From: `<${ALICE}>;tag=a`,
      To: first.get('To') ?? '',
      'Call-ID': first.callId ?? '',
      CSeq: '50 SUBSCRIBE',
      Expires: '0',
    });
    assert.is(second.status, 200);
    await next;
    assert.match(told.join(' '), /^active\S* terminated/);
    await stack.stop();
    await edge.stop(deps.clock.now() + 1_000);
  });
}

test('a port that somebody else holds is told when it starts', async () => {
  const listen = (port: number) => [{ protocol: 'udp' as const, host: '127.0.0.1', port }];
  const first = createEdge(deps, { domains: ['a'], listen: listen(0), users });
  await first.start(new AbortController().signal);
  const port = first.addresses()[0]?.port ?? 0;
  const second = createEdge(deps, { domains: ['a'], listen: listen(port), users });
  try {
    await second.start(new AbortController().signal);
    assert.unreachable();
  } catch (error) {
    assert.is((error as { code?: string }).code, 'EDGE_CANNOT_LISTEN');
    assert.is((error as { exit?: number }).exit, 69);
  }
  assert.is(second.health().state, 'down');
  await first.stop(deps.clock.now() + 1_000);
});

test('a start that is called off leaves nothing open', async () => {
  const abort = new AbortController();
  const edge = createEdge(deps, {
    domains: ['a'],
    listen: [{ protocol: 'udp', host: '127.0.0.1', port: 0 }],
    users,
  });
  const starting = edge.start(abort.signal);
  abort.abort();
  await starting;
  assert.is(edge.health().state, 'down');
  await edge.stop(deps.clock.now());
});

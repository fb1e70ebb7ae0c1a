/**
 * The messages of RFC 4475 and RFC 5118 sent to the edge: a registrar, presence server and proxy, by UDP and TCP on real
 * sockets. What is malformed is refused, what is not gets the answer of an edge that does not know these people.
 */
import {
  createDigestClient,
  createStack,
  createTcpTransport,
  parseMessage,
  parseNameAddrs,
  parseUri,
  type SipRequest,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { silentLog } from '../../src/base/log.ts';
import { createEdge } from '../../src/edge/edge.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { createFakeFiles } from '../support/fake-files.ts';
import { createFakeRandom } from '../support/fake-random.ts';
import { suite } from '../support/harness.ts';
import { createDoor } from '../tiny-sip/torture/exchange.ts';
import { type Expected, mended, rfc4475, rfc5118, type Verdict } from '../tiny-sip/torture/expected.ts';
import { readTorture } from '../tiny-sip/torture/read.ts';

const test = suite('edge torture');

/** Where a proxy or registrar has an answer of its own (the text of each says which). */
const OWN: Readonly<Record<string, readonly number[]>> = {
  // §3.1.1.2, §3.1.1.5: forwarded or 404, since the method is not for the proxy to judge; this one asks first who it is.
  intmeth: [404, 403, 405, 407, 501],
  esc02: [404, 403, 405, 407, 501],
  // §3.1.2.16, §3.1.2.18, §3.3.2, §3.3.3.
  badvers: [505],
  mismatch02: [501, 400],
  unkscm: [416],
  novelsc: [416, 404],
  // §3.3.4: "a registrar would reject this with 400"; one that challenges first asks who it is.
  unksm2: [400, 401, 404],
  // §3.3.5: Proxy-Require is the proxy's.
  bext01: [420],
  // §3.3.11: "a proxy should not forward the request and should respond 483"; it may answer OPTIONS itself.
  zeromf: [483, 200],
};

/** Not among these: they say that the message could not be read, or that reading it broke something. */
const BROKEN: readonly number[] = [400, 500, 503, 505];

async function exchange(
  name: string,
  bytes: Buffer,
  protocol: 'udp' | 'tcp',
  expected: Expected,
): Promise<void> {
  const clock = createFakeClock();
  const door = createDoor({ clock, log: silentLog });
  const edge = createEdge(
    {
      clock,
      random: createFakeRandom(76),
      log: silentLog,
      files: createFakeFiles(),
      transports: door.transports,
    },
    { domains: ['example.com'], listen: [], users: { user: 'secret', caller: 'secret' } },
  );
  await edge.start(new AbortController().signal);
  try {
    if (expected.kind === 'waits') {
      assert.is(await door.unfinished(bytes, () => clock.advance(40_000)), '');
      return;
    }
    const heard = await door[protocol](bytes);
    assert.ok(heard.probe.status >= 200, 'the OPTIONS behind it is answered');
    const [status] = heard.answers.map((one) => one.status);
    if (expected.kind === 'silence') assert.is(status, undefined);
    else {
      assert.is(heard.closed, expected.closes === true, 'closed');
      assert.ok(status !== undefined, 'an answer');
      const own = OWN[name];
      if (own !== undefined) assert.ok(own.includes(status), `${status} is none of ${own}`);
      else if (expected.statuses[0] === 400) assert.ok(status === 400, `400 and not ${status}`);
      else assert.not(BROKEN.includes(status), String(status));
    }
  } finally {
    await edge.stop(clock.now());
  }
}

for (const [file, verdicts] of [
  ['rfc4475.txt', rfc4475],
  ['rfc5118.txt', rfc5118],
] as const) {
  for (const { name, section, bytes } of readTorture(file)) {
    const verdict = verdicts[name] as Verdict;
    for (const protocol of ['udp', 'tcp'] as const)
      test(`${file} §${section} ${name} by ${protocol}`, () =>
        exchange(name, mended(bytes, verdict), protocol, verdict[protocol]));
  }
}

// user agent            edge
//   |---REGISTER-------->|   as RFC 4475 has it, with credentials
//   |<------401----------|
//   |---REGISTER-------->|
//   |<------200----------|   Contact: every binding
//   |---REGISTER-------->|   without Contact: a fetch
//   |<------200----------|
async function bindingsOf(
  name: string,
  user: string,
  edit = (wire: string): string => wire,
): Promise<readonly (readonly string[])[]> {
  const clock = createFakeClock();
  const random = createFakeRandom(78);
  const files = createFakeFiles();
  const aors = ['sip:null-%00-null@example.com'];
  const edge = createEdge(
    { clock, random, log: silentLog, files },
    {
      domains: ['example.com'],
      listen: [{ protocol: 'tcp', host: '127.0.0.1', port: 0 }],
      users: { [user]: { password: 'secret', aors } },
    },
  );
  await edge.start(new AbortController().signal);
  const [address] = edge.addresses();
  const stack = createStack(
    { clock, random, log: silentLog },
    { transports: [createTcpTransport({ clock, random, log: silentLog }, { listen: false })] },
  );
  await stack.start();
  const send = async (request: SipRequest): Promise<readonly string[]> => {
    const outcome = await stack.send(request.remove('Via'), {
      target: { protocol: 'tcp', host: '127.0.0.1', port: address?.port ?? 0, name: 'example.com' },
      credentials: createDigestClient({ random }, { username: user, password: 'secret' }),
    });
    if (outcome.kind !== 'response') throw new Error(outcome.kind);
    assert.is(outcome.response.status, 200);
    return outcome.response.all('Contact');
  };
  try {
    const bytes = readTorture('rfc4475.txt').find((one) => one.name === name)?.bytes ?? Buffer.alloc(0);
    const parsed = parseMessage(Buffer.from(edit(bytes.toString('latin1')), 'latin1'));
    if (!parsed.ok || parsed.message.kind !== 'request') throw new Error('no request');
    const fetch = parsed.message.copy().remove('Contact').remove('CSeq');
    const answered = await send(parsed.message);
    if (fetch.kind !== 'request') throw new Error('no request');
    return [answered, await send(fetch)];
  } finally {
    await stack.stop();
    await edge.stop(clock.now());
  }
}

test('RFC 4475 §3.3.12 cparam01: what follows a URI without brackets is the Contact’s, now and when fetched', async () => {
  for (const contacts of await bindingsOf('cparam01', 'watson')) {
    const [binding, ...more] = parseNameAddrs(contacts.join(','));
    assert.is(more.length, 0);
    assert.is(binding?.uri, 'sip:+19725552222@gw1.example.net');
  }
});

test('RFC 4475 §3.3.13 cparam02: a parameter of the URI stays one', async () => {
  for (const contacts of await bindingsOf('cparam02', 'watson'))
    assert.is(parseNameAddrs(contacts.join(','))[0]?.uri, 'sip:+19725552222@gw1.example.net;unknownparam');
});

test('RFC 4475 §3.3.14 regescrt: an escaped header stays in the binding', async () => {
  // Its contact is in the domain that it registers with, which to this edge is a loop; so it gets a host of its own.
  const elsewhere = (wire: string): string => wire.replace('<sip:user@example.com?', '<sip:user@192.0.2.7?');
  for (const contacts of await bindingsOf('regescrt', 'user', elsewhere)) {
    const uri = parseNameAddrs(contacts.join(','))[0]?.uri ?? '';
    assert.is(parseUri(uri).headers.get('route'), '%3Csip:sip.example.com%3E');
  }
});

test('RFC 4475 §3.1.1.4 escnull: two bindings, and an AOR that is not cut short', async () => {
  for (const contacts of await bindingsOf('escnull', 'someone'))
    assert.equal(
      parseNameAddrs(contacts.join(','))
        .map(({ uri }) => uri)
        .sort(),
      ['sip:%00%00@host5.example.com', 'sip:%00@host5.example.com'],
    );
});

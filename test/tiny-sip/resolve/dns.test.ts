/** Node's own resolver against a name server of ours, on loopback: what it does by itself, and what it lets through. */
import * as assert from 'uvu/assert';
import { createNodeDeps } from '../../../src/tiny-sip/deps.ts';
import { createSystemDns } from '../../../src/tiny-sip/resolve/dns.ts';
import { createLocator, type Locator } from '../../../src/tiny-sip/resolve/resolve.ts';
import { suite } from '../../support/harness.ts';
import {
  type DnsRecord,
  type DnsServer,
  type DnsServerOptions,
  startDnsServer,
  writeRecord,
} from '../../support/peers/dns-server.ts';

const test = suite('dns');

const srv = (n: number): Extract<DnsRecord, { type: 'SRV' }> => ({
  type: 'SRV',
  name: '_sip._udp.plant.example',
  priority: n,
  weight: 1,
  port: 5060 + n,
  target: `sip${n}.plant.example`,
});

const zone: readonly DnsRecord[] = [
  {
    type: 'NAPTR',
    name: 'plant.example',
    order: 10,
    preference: 10,
    flags: 's',
    service: 'SIP+D2U',
    replacement: '_sip._udp.plant.example',
  },
  ...Array.from({ length: 20 }, (_, n) => srv(n)),
  ...Array.from(
    { length: 20 },
    (_, n): DnsRecord => ({
      type: 'A',
      name: `sip${n}.plant.example`,
      address: `192.0.2.${n}`,
      ttl: 60,
    }),
  ),
  { type: 'AAAA', name: 'sip0.plant.example', address: '2001:db8::1', ttl: 60 },
  { type: 'SOA', name: 'plant.example', minimum: 77 },
];

async function withServer(
  records: readonly DnsRecord[],
  options: DnsServerOptions,
  run: (locator: Locator, server: DnsServer) => Promise<void>,
): Promise<void> {
  const server = await startDnsServer(records, options);
  const locator = createLocator({
    ...createNodeDeps(),
    dns: () => createSystemDns({ servers: [`127.0.0.1:${server.port}`], timeout: 500, tries: 2 }),
  });
  try {
    await run(locator, server);
  } finally {
    await server.close();
  }
}

const at = async (locator: Locator, uri: string): Promise<string[]> =>
  (await locator.locate(uri, { protocols: ['udp'] })).map((one) => `${one.host} ${one.port}`);

test('the machine knows itself without any network', async () => {
  const found = (await createSystemDns().hosts?.('localhost')) ?? [];
  assert.ok(found.includes('127.0.0.1') || found.includes('::1'), found.join(' '));
});

test('a name that cannot be is an error with a code, not a hang', async () => {
  const dns = createSystemDns();
  for (const ask of [dns.naptr, dns.srv, dns.a, dns.aaaa]) {
    await ask('a..b').then(
      () => assert.unreachable(),
      (error) => assert.type(error.code, 'string'),
    );
  }
});

//  locator            name server
//     |--NAPTR? ---UDP--->|
//     |<---- TC, nothing--|
//     |--NAPTR? ---TCP--->|
//     |<---- the record --|   and so on for SRV, A, AAAA
test('S32: an answer that was cut short is fetched by TCP, for every type', async () => {
  await withServer(zone, { mode: () => 'truncate' }, async (locator, server) => {
    const found = await at(locator, 'sip:plant.example');
    assert.is(found[0], '192.0.2.0 5060');
    assert.is(found[1], '2001:db8::1 5060');
    assert.is(found.length, 17, 'sixteen servers, the first with two addresses');
    for (const question of [
      'NAPTR plant.example',
      'SRV _sip._udp.plant.example',
      'A sip0.plant.example',
      'AAAA sip0.plant.example',
    ])
      assert.ok(server.askedByTcp.includes(question), question);
  });
});

test('S32: whoever cuts answers short and serves no TCP has failed, and nothing else has', async () => {
  await withServer(
    zone,
    { mode: (_question, by) => (by === 'tcp' ? 'silent' : 'truncate') },
    async (locator) => {
      const error = await at(locator, 'sip:sip1.plant.example:5060').then(
        () => assert.unreachable('it was located') as never,
        (thrown) => thrown,
      );
      assert.is(error.code, 'SIP_NOT_LOCATED');
      assert.ok((locator.counts().failures ?? 0) > 0);
    },
  );
});

test('records, TTL and SOA come through Node’s resolver', async () => {
  await withServer(zone, {}, async (_locator, server) => {
    const dns = createSystemDns({ servers: [`127.0.0.1:${server.port}`] });
    assert.equal((await dns.a('sip1.plant.example'))[0], { address: '192.0.2.1', ttl: 60 });
    assert.is((await dns.soa?.('plant.example'))?.[0]?.minttl, 77);
    assert.is((await dns.naptr('plant.example'))[0]?.service, 'SIP+D2U');
    assert.is((await dns.srv('_sip._udp.plant.example')).length, 20);
  });
});

test('aliases are followed, those that run in a circle end', async () => {
  const aliases: readonly DnsRecord[] = [
    { type: 'CNAME', name: 'one.example', target: 'two.example' },
    { type: 'CNAME', name: 'two.example', target: 'three.example' },
    { type: 'A', name: 'three.example', address: '192.0.2.3' },
    { type: 'CNAME', name: 'circle.example', target: 'round.example' },
    { type: 'CNAME', name: 'round.example', target: 'circle.example' },
  ];
  await withServer(aliases, {}, async (locator) => {
    assert.equal(await at(locator, 'sip:one.example:5060'), ['192.0.2.3 5060']);
    await at(locator, 'sip:circle.example:5060').then(
      () => assert.unreachable('a circle leads nowhere'),
      (error) => assert.is(error.code, 'SIP_NOT_LOCATED'),
    );
  });
});

test('a hostile server: thousands of records, names with line ends, counts and lengths that lie', async () => {
  const host = 'evil.example';
  const forged: Record<string, { count: number; bytes: Buffer }> = {
    'SRV _sip._udp.many.example': {
      count: 1000,
      bytes: Buffer.concat(
        Array.from({ length: 1000 }, (_, n) =>
          writeRecord({ ...srv(n % 900), name: '_sip._udp.many.example', target: `h${n}.many.example` }),
        ),
      ),
    },
    'SRV _sip._udp.evil.example': {
      count: 2,
      bytes: Buffer.concat([
        writeRecord({ ...srv(0), name: '_sip._udp.evil.example', target: 'x\r\nVia: y.example' }),
        writeRecord({ ...srv(1), name: '_sip._udp.evil.example', target: '192.0.2.9' }),
      ]),
    },
    'A lie.example': {
      count: 60_000,
      bytes: writeRecord({ type: 'A', name: 'lie.example', address: '192.0.2.1' }),
    },
    'A short.example': {
      count: 1,
      bytes: writeRecord({ type: 'A', name: 'short.example', address: '192.0.2.1' }).subarray(0, -2),
    },
    // A name that points at itself (RFC 1035 §4.1.4).
    'A loop.example': { count: 1, bytes: Buffer.from('c02c00010001000000010004c0000201', 'hex') },
  };
  await withServer(
    [
      { type: 'A', name: 'h0.many.example', address: '192.0.2.1' },
      { type: 'A', name: 'good.example', address: '192.0.2.2' },
    ],
    {
      forge: (question) => forged[question],
      mode: (question, by) => (by === 'udp' && question.includes('many') ? 'truncate' : 'answer'),
    },
    async (locator, server) => {
      assert.equal(await at(locator, 'sip:many.example;transport=udp'), ['192.0.2.1 5060']);
      assert.ok(server.asked.length < 200, `${server.asked.length} questions`);
      const evil = await at(locator, `sip:${host};transport=udp`);
      assert.ok(
        evil.every((one) => /^[\d.]+ \d+$/.test(one)),
        evil.join(),
      );
      for (const name of ['lie', 'short', 'loop'])
        await at(locator, `sip:${name}.example:5060`).then(
          () => assert.unreachable(`${name} was believed`),
          (error) => assert.is(error.code, 'SIP_NOT_LOCATED'),
        );
      assert.equal(await at(locator, 'sip:good.example:5060'), ['192.0.2.2 5060'], 'and then it goes on');
    },
  );
});

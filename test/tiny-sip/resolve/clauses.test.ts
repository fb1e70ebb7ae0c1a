/** RFC 3263 §4.1, §4.2 and §5, RFC 3861: one table, a line for each sentence that says what a client does. */
import * as assert from 'uvu/assert';
import { createLocator } from '../../../src/tiny-sip/resolve/resolve.ts';
import type { Protocol } from '../../../src/tiny-sip/transport/transport.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { createFakeRandom } from '../../support/fake-random.ts';
import { suite } from '../../support/harness.ts';
import { silent } from '../transport/recorder.ts';
import { createMockDns, type MockDns } from './mock-dns.ts';

const test = suite('RFC 3263 clause by clause');

const UDP_TCP: readonly Protocol[] = ['udp', 'tcp'];
const ALL: readonly Protocol[] = ['udp', 'tcp', 'tls'];

/** The zone of the examples in §4.1, with addresses. */
function example(dns: MockDns): void {
  dns.naptr(
    'example.com',
    [50, 'SIPS+D2T', '_sips._tcp.example.com'],
    [90, 'SIP+D2T', '_sip._tcp.example.com'],
    [100, 'SIP+D2U', '_sip._udp.example.com'],
  );
  services(dns);
}

/** SRV and addresses, no NAPTR. */
function services(dns: MockDns): void {
  dns.srv('_sips._tcp.example.com', { name: 's.example.com', port: 5061 });
  dns.srv('_sip._tcp.example.com', { name: 't.example.com' });
  dns.srv('_sip._udp.example.com', { name: 'u.example.com' });
  addresses(dns);
}

function addresses(dns: MockDns): void {
  dns.a('s.example.com', '192.0.2.3');
  dns.a('t.example.com', '192.0.2.2');
  dns.a('u.example.com', '192.0.2.1');
  dns.a('example.com', '192.0.2.9');
  dns.aaaa('example.com', '2001:db8::9');
}

interface Case {
  readonly says: string;
  readonly zone: (dns: MockDns) => void;
  readonly uri: string;
  readonly speak?: readonly Protocol[];
  /** Undefined: it cannot be located. */
  readonly to: readonly string[] | undefined;
  /** Types of the questions asked, in order of first appearance. */
  readonly asks?: string;
}

const cases: readonly Case[] = [
  {
    says: '§4: TARGET is the maddr parameter if present',
    zone: (dns) => {
      services(dns);
      dns.srv('_sip._udp.other.example', { name: 'u.example.com', port: 5099 });
    },
    uri: 'sip:a@example.com;maddr=other.example',
    speak: ['udp'],
    to: ['udp 192.0.2.1 5099'],
  },
  {
    says: '§4: a numeric maddr is used as it is, with the port of the URI',
    zone: services,
    uri: 'sip:a@example.com:5070;maddr=192.0.2.77',
    to: ['udp 192.0.2.77 5070'],
    asks: '',
  },
  {
    says: '§4: an IPv6 maddr in brackets',
    zone: services,
    uri: 'sip:a@example.com;maddr=[2001:db8::77];transport=tcp',
    to: ['tcp 2001:db8::77 5060'],
    asks: '',
  },
  {
    says: '§4.1: a transport parameter decides',
    zone: example,
    uri: 'sip:a@example.com;transport=udp',
    to: ['udp 192.0.2.1 5060'],
    asks: 'srv a aaaa',
  },
  {
    says: '§4.1: numeric, no transport: UDP for SIP',
    zone: example,
    uri: 'sip:a@192.0.2.50',
    speak: ['tcp', 'udp'],
    to: ['udp 192.0.2.50 5060'],
    asks: '',
  },
  {
    says: '§4.1: numeric, no transport: TCP (under TLS) for SIPS',
    zone: example,
    uri: 'sips:a@192.0.2.50',
    speak: ALL,
    to: ['tls 192.0.2.50 5061'],
  },
  {
    says: '§4.1: a name with a port, no transport: UDP for SIP',
    zone: example,
    uri: 'sip:a@u.example.com:5060',
    speak: ALL,
    to: ['udp 192.0.2.1 5060'],
    asks: 'a aaaa',
  },
  {
    says: '§4.1: a name with a port, no transport: TLS for SIPS',
    zone: example,
    uri: 'sips:a@s.example.com:5071',
    speak: ALL,
    to: ['tls 192.0.2.3 5071'],
    asks: 'a aaaa',
  },
  {
    says: '§4.1: neither: NAPTR; TCP is the most preferred of those we speak',
    zone: example,
    uri: 'sip:user@example.com',
    to: ['tcp 192.0.2.2 5060', 'udp 192.0.2.1 5060'],
    asks: 'naptr srv a aaaa',
  },
  {
    says: '§4.1: a SIP URI retains SIPS records where the client speaks TLS',
    zone: example,
    uri: 'sip:user@example.com',
    speak: ALL,
    to: ['tls 192.0.2.3 5061'],
  },
  {
    says: '§4.1: a SIPS URI discards services without SIPS',
    zone: example,
    uri: 'sips:user@example.com',
    speak: ALL,
    to: ['tls 192.0.2.3 5061'],
  },
  {
    says: '§4.1: a client without TLS cannot follow a SIPS URI',
    zone: example,
    uri: 'sips:user@example.com',
    to: undefined,
    asks: '',
  },
  {
    says: '§4.1: D2X of a transport that the client does not speak is discarded',
    zone: (dns) => {
      services(dns);
      dns.naptr(
        'example.com',
        [10, 'SIP+D2S', '_sip._sctp.example.com'],
        [20, 'SIP+D2U', '_sip._udp.example.com'],
      );
    },
    uri: 'sip:example.com',
    to: ['udp 192.0.2.1 5060'],
  },
  {
    says: '§4.1: the replacement may be in another domain',
    zone: (dns) => {
      services(dns);
      dns.naptr('example.com', [10, 'SIP+D2T', '_sip._tcp.school.example']);
      dns.srv('_sip._tcp.school.example', { name: 't.example.com', port: 5090 });
    },
    uri: 'sip:example.com',
    to: ['tcp 192.0.2.2 5090'],
  },
  {
    says: '§4.1: where that leads nowhere, the SRV records of the domain itself, which it MUST keep',
    zone: (dns) => {
      services(dns);
      dns.naptr('example.com', [10, 'SIP+D2T', '_sip._tcp.school.example']);
    },
    uri: 'sip:example.com',
    speak: ['tcp'],
    to: ['tcp 192.0.2.2 5060'],
  },
  {
    says: '§4.1: no NAPTR: SRV for each transport that the client speaks, _sip for SIP',
    zone: services,
    uri: 'sip:example.com',
    to: ['udp 192.0.2.1 5060', 'tcp 192.0.2.2 5060'],
    asks: 'naptr srv a aaaa',
  },
  {
    says: '§4.1: no NAPTR: _sips for SIPS',
    zone: services,
    uri: 'sips:example.com',
    speak: ALL,
    to: ['tls 192.0.2.3 5061'],
  },
  {
    says: '§4.1: no SRV: UDP for a SIP URI, at the default port, all A and AAAA in turn',
    zone: addresses,
    uri: 'sip:example.com',
    speak: ALL,
    to: ['udp 192.0.2.9 5060', 'udp 2001:db8::9 5060'],
  },
  {
    says: '§4.1: no SRV: TLS for a SIPS URI, at its default port',
    zone: addresses,
    uri: 'sips:example.com',
    speak: ALL,
    to: ['tls 192.0.2.9 5061', 'tls 2001:db8::9 5061'],
  },
  {
    says: '§4.2: numeric with port',
    zone: example,
    uri: 'sip:a@[2001:db8::5]:5080;transport=tcp',
    to: ['tcp 2001:db8::5 5080'],
    asks: '',
  },
  {
    says: '§4.2: a name with port is looked up by A and AAAA even where it is 5060',
    zone: example,
    uri: 'sip:example.com:5060;transport=tcp',
    to: ['tcp 192.0.2.9 5060', 'tcp 2001:db8::9 5060'],
    asks: 'a aaaa',
  },
  {
    says: '§4.2: transport given explicitly: SRV for it, _sips where it is TLS',
    zone: example,
    uri: 'sip:example.com;transport=tls',
    speak: ALL,
    to: ['tls 192.0.2.3 5061'],
    asks: 'srv a aaaa',
  },
  {
    says: '§4.2: transport=tcp of a SIPS URI means TLS over TCP',
    zone: example,
    uri: 'sips:example.com;transport=tcp',
    speak: ALL,
    to: ['tls 192.0.2.3 5061'],
    asks: 'srv a aaaa',
  },
  {
    says: 'RFC 3861 §3: pres by _pres._sip; the usual protocol, then others at the same port',
    zone: (dns) => {
      services(dns);
      dns.srv('_pres._sip.example.com', { name: 't.example.com', port: 5065 });
    },
    uri: 'pres:device@example.com',
    speak: ALL,
    to: ['udp 192.0.2.2 5065', 'tcp 192.0.2.2 5065'],
    asks: 'srv a aaaa',
  },
  {
    says: 'RFC 3861 §3: im by _im._sip',
    zone: (dns) => {
      services(dns);
      dns.srv('_im._sip.example.com', { name: 'u.example.com', port: 5066 });
    },
    uri: 'im:device@example.com',
    speak: ['tcp'],
    to: ['tcp 192.0.2.1 5066'],
  },
  {
    says: 'RFC 3861 §4: without such records what the domain has for SIP, and last its addresses',
    zone: services,
    uri: 'pres:device@example.com',
    to: ['udp 192.0.2.1 5060', 'tcp 192.0.2.2 5060'],
  },
  {
    says: 'RFC 3861 §4: only addresses: the A record is treated as an implicit SRV record',
    zone: addresses,
    uri: 'im:device@example.com',
    to: ['udp 192.0.2.9 5060', 'udp 2001:db8::9 5060'],
  },
  {
    says: 'RFC 2782: a priority is done with before the next one begins',
    zone: (dns) => {
      addresses(dns);
      dns.srv(
        '_sip._udp.example.com',
        { name: 's.example.com', priority: 30, weight: 1000 },
        { name: 't.example.com', priority: 10 },
        { name: 'u.example.com', priority: 20, weight: 9 },
      );
    },
    uri: 'sip:example.com;transport=udp',
    to: ['udp 192.0.2.2 5060', 'udp 192.0.2.1 5060', 'udp 192.0.2.3 5060'],
  },
];

for (const one of cases)
  test(one.says, async () => {
    const dns = createMockDns();
    one.zone(dns);
    const locator = setUp(dns);
    const found = await locator
      .locate(one.uri, { protocols: one.speak ?? UDP_TCP })
      .then((targets) => targets.map((to) => `${to.protocol} ${to.host} ${to.port}`))
      .catch((error) => {
        assert.is(error.code, 'SIP_NOT_LOCATED');
        return undefined;
      });
    assert.equal(found, one.to);
    if (one.asks !== undefined) {
      const types = dns.asked.map((question) => question.split(' ')[0] ?? '');
      assert.is([...new Set(types)].filter((type) => type !== 'soa').join(' '), one.asks);
    }
  });

const replies = [
  [
    '§5: a numeric sent-by with port',
    { protocol: 'udp', host: '192.0.2.5', port: 5070 },
    ['udp 192.0.2.5 5070'],
  ],
  [
    '§5: numeric without port: the default of the transport',
    { protocol: 'tls', host: '192.0.2.5', port: undefined },
    ['tls 192.0.2.5 5061'],
  ],
  [
    '§5: a name with port: A and AAAA',
    { protocol: 'tcp', host: 'example.com', port: 5070 },
    ['tcp 192.0.2.9 5070', 'tcp 2001:db8::9 5070'],
  ],
  [
    '§5: a name without port: SRV by _sip and the transport',
    { protocol: 'tcp', host: 'example.com', port: undefined },
    ['tcp 192.0.2.2 5060'],
  ],
  [
    '§5: Via TLS: SRV by _sips',
    { protocol: 'tls', host: 'example.com', port: undefined },
    ['tls 192.0.2.3 5061'],
  ],
  [
    '§5: no SRV: its addresses at the default port',
    { protocol: 'udp', host: 'u.example.com', port: undefined },
    ['udp 192.0.2.1 5060'],
  ],
] as const;

for (const [says, sentBy, to] of replies)
  test(says, async () => {
    const dns = createMockDns();
    example(dns);
    const found = (await setUp(dns).locateReply?.(sentBy)) ?? [];
    assert.equal(
      found.map((one) => `${one.protocol} ${one.host} ${one.port}`),
      to,
    );
  });

function setUp(dns: MockDns) {
  return createLocator({
    clock: createFakeClock(),
    random: createFakeRandom(),
    log: silent,
    dns: () => dns.create(),
  });
}

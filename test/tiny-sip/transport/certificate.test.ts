import { X509Certificate } from 'node:crypto';
import * as assert from 'uvu/assert';
import { asciiName, identitiesOf, type Peer, proves } from '../../../src/tiny-sip/transport/certificate.ts';
import { type CertificateInit, createAuthority } from '../../support/certificates.ts';
import { suite } from '../../support/harness.ts';

const test = suite('certificate');
const authority = createAuthority();

function peerOf(init: CertificateInit): Peer {
  return identitiesOf(new X509Certificate(authority.issue(init).cert).toLegacyObject(), 'TLSv1.3');
}

test('RFC 5922 §7.1: sip URIs without a user are domains, and hide the DNS names', () => {
  const { names, users } = peerOf({
    cn: 'cn.example',
    dns: ['dns.example'],
    uris: [
      'sip:a.example',
      'SIP:B.Example:5061;transport=tls',
      'sips:secure.example',
      'https://web.example',
      'sip:bob@c.example',
    ],
  });
  assert.equal(names, ['a.example', 'b.example']);
  assert.equal(users, ['bob@c.example']);
});

test('RFC 5922 §7.1: without a sip URI the DNS names count, with a user in it as well', () => {
  assert.equal(peerOf({ cn: 'cn.example', dns: ['One.example', 'two.example'] }).names, [
    'one.example',
    'two.example',
  ]);
  assert.equal(peerOf({ dns: ['d.example'], uris: ['sip:u@x.example', 'sips:y.example'] }).names, [
    'd.example',
  ]);
});

test('RFC 5922 §7.1: the common name counts only where there is no subjectAltName', () => {
  assert.equal(peerOf({ cn: 'CN.example' }).names, ['cn.example']);
  assert.equal(peerOf({ cn: 'cn.example', uris: ['sip:u@x.example'] }).names, []);
  assert.equal(peerOf({ cn: 'cn.example', addresses: ['192.0.2.1'] }).names, []);
  for (const cn of ['Bob Example', '*.example.com', '.example.com', 'a..b', ''])
    assert.equal(peerOf({ cn }).names, []);
  assert.equal(peerOf({}).names, []);
});

test('entries that look like several are one, and none', () => {
  const hostile = [
    { dns: ['x.example, DNS:victim.example'] },
    { dns: ['x.example", DNS:"victim.example'] },
    { dns: ['x.example\0.victim.example'] },
    { uris: ['sip:x.example, URI:sip:victim.example'] },
    { uris: ['sip:x.example, DNS:victim.example'] },
    { uris: ['sip:victim.example@x.example'] },
    { uris: ['http://x.example/, URI:sip:victim.example'] },
    { uris: ['sip:[victim.example]'] },
    { cn: 'victim.example, DNS:victim.example', dns: ['x.example'] },
  ];
  for (const init of hostile) assert.not.ok(proves(peerOf(init), 'victim.example'), JSON.stringify(init));
});

test('RFC 5922 §7.2: whole names, any case; no wildcard, no suffix', () => {
  const peer = peerOf({ dns: ['Example.com', '*.wild.example', '.dot.example'] });
  for (const name of ['example.com', 'EXAMPLE.COM', 'example.com.']) assert.ok(proves(peer, name), name);
  for (const name of ['foo.example.com', 'com', 'xexample.com', 'foo.wild.example', 'foo.dot.example', ''])
    assert.not.ok(proves(peer, name), name);
  assert.ok(proves(peer, '*.wild.example'), 'RFC 5922 §7.2: it matches itself alone');
});

test('internationalised names are compared in their ASCII form', () => {
  assert.is(asciiName('Bücher.example'), 'xn--bcher-kva.example');
  assert.ok(proves(peerOf({ dns: ['xn--bcher-kva.example'] }), 'bücher.example'));
});

test('an address proves itself, never a name; a name never an address', () => {
  const peer = peerOf({ dns: ['192.0.2.9.example'], addresses: ['192.0.2.1'] });
  assert.ok(proves(peer, '192.0.2.1'));
  assert.not.ok(proves(peer, '192.0.2.2'));
  assert.not.ok(proves(peerOf({ dns: ['example.com'] }), '192.0.2.1'));
  const six = peerOf({ uris: ['sip:[2001:DB8:0:0::1]'] });
  assert.equal(six.names, ['2001:db8::1']);
  assert.ok(proves(six, '2001:db8::1'));
  assert.ok(proves(six, '[2001:0db8::0001]'));
});

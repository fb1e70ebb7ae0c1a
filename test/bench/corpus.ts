/** Messages as a gateway, a phone and a proxy send them: about 880 bytes each, no two alike. */

const pidf = (note: string): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\r\n<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:gateway7@example.com"><tuple id="t4c1d"><status><basic>open</basic></status><note>${note}</note><timestamp>2026-06-01T12:00:00Z</timestamp></tuple></presence>`;

const sdp =
  'v=0\r\no=alice 53655765 2353687637 IN IP4 pc33.atlanta.example.com\r\ns=-\r\nc=IN IP4 192.0.2.101\r\nt=0 0\r\nm=audio 3456 RTP/AVP 0 1 3 99\r\na=rtpmap:0 PCMU/8000\r\n';

function message(start: string, lines: readonly string[], body = ''): Buffer {
  const head = [start, ...lines, `Content-Length: ${Buffer.byteLength(body)}`, '', ''].join('\r\n');
  return Buffer.from(head + body, 'utf8');
}

const digest =
  'Digest username="gateway7", realm="example.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="sip:example.com", qop=auth, nc=00000001, cnonce="0a4f113b", response="6629fae49393a05397450978507c4ef1", opaque="5ccc069c403ebaf9f0171e9517f40e41", algorithm=MD5';

/** Number `n` of the mixture; the numbers in it differ, so nothing can be remembered from the one before. */
function variants(n: number): Buffer[] {
  const tag = `a7${(n * 7919).toString(36)}`;
  const id = `${(n * 104_729).toString(16)}f81d4fae7dec11d0a765`;
  const branch = `z9hG4bK${(n * 15_485_863).toString(36)}k77`;
  return [
    message('REGISTER sip:example.com SIP/2.0', [
      `Via: SIP/2.0/TCP 192.0.2.10:49712;branch=${branch};rport`,
      'Max-Forwards: 70',
      `From: "Gateway 7" <sip:gateway7@example.com>;tag=${tag}`,
      'To: <sip:gateway7@example.com>',
      `Call-ID: ${id}@192.0.2.10`,
      `CSeq: ${n + 1} REGISTER`,
      'Contact: <sip:gateway7@192.0.2.10:49712;transport=tcp;ob>;reg-id=1;+sip.instance="<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>"',
      'Expires: 3600',
      'Supported: outbound, path, gruu',
      'Allow: MESSAGE, NOTIFY, OPTIONS, SUBSCRIBE',
      'User-Agent: presentity/0.1.0',
      `Authorization: ${digest}`,
    ]),
    message(
      'PUBLISH sip:gateway7@example.com SIP/2.0',
      [
        `Via: SIP/2.0/UDP 192.0.2.10:5060;branch=${branch};rport`,
        'Max-Forwards: 70',
        'Route: <sip:edge1.example.com;transport=tcp;lr>',
        `From: <sip:gateway7@example.com>;tag=${tag}`,
        'To: <sip:gateway7@example.com>',
        `Call-ID: ${id}`,
        `CSeq: ${n + 1} PUBLISH`,
        'Event: presence',
        'Expires: 120',
        'SIP-If-Match: a.1764230000.4711.2.0',
        'Content-Type: application/pidf+xml',
      ],
      pidf(`-17.${n % 10} °C`),
    ),
    message(
      'NOTIFY sip:bob@192.0.2.44:5061;transport=tcp SIP/2.0',
      [
        `Via: SIP/2.0/TCP edge1.example.com:5060;branch=${branch};alias`,
        `Via: SIP/2.0/UDP 192.0.2.200:5060;branch=z9hG4bKa${branch.slice(8)};received=192.0.2.201;rport=5060`,
        'Record-Route: <sip:edge1.example.com:5060;transport=tcp;lr;r2=on>',
        'Max-Forwards: 68',
        `From: <sip:gateway7@example.com>;tag=${tag}`,
        `To: "Bob" <sip:bob@example.com>;tag=b${tag}`,
        `Call-ID: ${id}@bobs-phone.example.com`,
        `CSeq: ${n + 2} NOTIFY`,
        'Contact: <sip:edge1.example.com:5060;transport=tcp>',
        'Event: presence',
        'Subscription-State: active;expires=3521',
        'Content-Type: application/pidf+xml',
      ],
      pidf(`door ${n % 2 ? 'open' : 'shut'}`),
    ),
    message('SUBSCRIBE sip:gateway7@example.com SIP/2.0', [
      `Via: SIP/2.0/UDP 192.0.2.44:5061;rport;branch=${branch}`,
      `From: "Bob" <sip:bob@example.com>;tag=${tag}`,
      'To: <sip:gateway7@example.com>',
      `CSeq: ${n + 20} SUBSCRIBE`,
      `Call-ID: ${id}`,
      'Max-Forwards: 70',
      'Route: <sip:proxy1.example.com;lr>',
      'Event: presence',
      'Expires: 3600',
      'Accept: application/pidf+xml, application/rlmi+xml, multipart/related, multipart/signed',
      'Contact: "Bob" <sip:bob@example.com;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>;+sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"',
      'Supported: replaces, outbound, gruu, path, eventlist',
      'Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, MESSAGE, SUBSCRIBE, INFO, PRACK, UPDATE',
      'User-Agent: Phone/5.2.0 (belle-sip/5.2.0)',
      'P-Preferred-Identity: <sip:bob@example.com>',
    ]),
    message('SIP/2.0 200 OK', [
      `Via: SIP/2.0/TCP 192.0.2.10:49712;branch=${branch};rport=49712;received=203.0.113.77`,
      `From: "Gateway 7" <sip:gateway7@example.com>;tag=${tag}`,
      `To: <sip:gateway7@example.com>;tag=srv${tag}.${n}`,
      `Call-ID: ${id}@192.0.2.10`,
      `CSeq: ${n + 1} REGISTER`,
      'Contact: <sip:gateway7@192.0.2.10:49712;transport=tcp;ob>;expires=3600;reg-id=1;+sip.instance="<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>", <sip:gateway7@192.0.2.11:5060>;expires=114',
      'Path: <sip:edge1.example.com;lr;ob>',
      'Service-Route: <sip:proxy1.example.com;lr>, <sip:proxy2.example.com;lr>',
      'Require: outbound',
      'Supported: path, outbound, gruu',
      'Date: Mon, 01 Jun 2026 12:00:00 GMT',
      'Server: kamailio (5.6.3 (x86_64/linux))',
      'Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, MESSAGE, SUBSCRIBE, PUBLISH',
    ]),
    message(
      'MESSAGE sip:gateway7@192.0.2.10:49712;transport=tcp;ob SIP/2.0',
      [
        `Via: SIP/2.0/TCP edge1.example.com:5060;branch=${branch}`,
        `Via: SIP/2.0/UDP 10.0.0.17:5060;received=198.51.100.23;rport=61234;branch=z9hG4bK.x${branch.slice(8)}`,
        'Max-Forwards: 69',
        `From: "Alice Ångström" <sip:alice@example.com>;tag=${tag}`,
        'To: "Gateway 7" <sip:gateway7@example.com>',
        `Call-ID: ${id}`,
        `CSeq: ${n + 20} MESSAGE`,
        'P-Asserted-Identity: "Alice" <sip:alice@example.com>',
        'Date: Mon, 01 Jun 2026 12:00:00 GMT',
        'Expires: 300',
        'User-Agent: Linphone Desktop/5.2.4 (fedora) ubuntu/24.04 Qt/5.15.13 LinphoneSDK/5.3.47',
        'Supported: replaces, outbound, gruu, path, record-aware',
        'Content-Type: text/plain; charset=UTF-8',
      ],
      `set freezer2 setpoint -${n % 30}`,
    ),
    message(
      'INVITE sip:bob@biloxi.example.com SIP/2.0',
      [
        `Via: SIP/2.0/UDP bigbox3.site3.atlanta.example.com;branch=${branch};received=192.0.2.2`,
        `Via: SIP/2.0/UDP pc33.atlanta.example.com;branch=z9hG4bKnas${n};received=192.0.2.1`,
        'Record-Route: <sip:p3.middle.example.com;lr>, <sip:p2.example.com;lr>, <sip:p1.example.com;lr>',
        'Max-Forwards: 69',
        `To: Bob <sip:bob@biloxi.example.com>`,
        `From: Alice <sip:alice@atlanta.example.com>;tag=${tag}`,
        `Call-ID: ${id}`,
        'CSeq: 314159 INVITE',
        'Contact: <sip:alice@pc33.atlanta.example.com>',
        'Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, MESSAGE',
        'Supported: replaces, 100rel, timer',
        'Session-Expires: 1800;refresher=uac',
        'Content-Type: application/sdp',
      ],
      sdp,
    ),
    message('SIP/2.0 401 Unauthorized', [
      `Via: SIP/2.0/UDP [2001:db8::10]:5060;branch=${branch};rport=5060;received=2001:db8::10`,
      `From: <sip:lamp@example.com>;tag=${tag}`,
      `To: <sip:lamp@example.com>;tag=${n}-as58f4201b`,
      `Call-ID: ${id}@[2001:db8::10]`,
      `CSeq: ${n + 102} PUBLISH`,
      'WWW-Authenticate: Digest realm="example.com", qop="auth,auth-int", algorithm=SHA-256, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"',
      'WWW-Authenticate: Digest realm="example.com", qop="auth", algorithm=MD5, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"',
      'Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, MESSAGE, SUBSCRIBE, PUBLISH',
      'Server: edge/0.1.0',
    ]),
  ];
}

export const corpus: readonly Buffer[] = Array.from({ length: 64 }, (_none, n) => variants(n)).flat();

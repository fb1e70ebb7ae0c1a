import {
  createDigestClient,
  createRequest,
  createResponse,
  hashPassword,
  parseChallenge,
  type SipRequest,
  type SipResponse,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { digestResponse, sessionKey } from '../../../src/tiny-sip/auth/algorithm.ts';
import { createFakeRandom } from '../../support/fake-random.ts';
import { suite } from '../../support/harness.ts';
import { createRig } from '../rig.ts';

const test = suite('tiny-sip digest client');

const client = (realm?: string) =>
  createDigestClient(
    { random: createFakeRandom(7) },
    { username: 'alice', password: 'secret', ...(realm !== undefined && { realm }) },
  );

const request = (): SipRequest =>
  createRequest({
    method: 'REGISTER',
    uri: 'sip:example.com',
    headers: {
      Via: 'SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa',
      From: '<sip:alice@example.com>;tag=1',
      To: '<sip:alice@example.com>',
      'Call-ID': 'c',
      CSeq: '1 REGISTER',
    },
  });

const response = (status: number, headers: Record<string, string | string[]>): SipResponse =>
  createResponse(request(), status, { headers, toTag: 't' });

const challenge = (params: string) => `Digest realm="example.com", ${params}`;

/** The credentials that a request carries. */
const credentials = (from: SipRequest, name = 'Authorization') =>
  from.lines(name).map((line) => parseChallenge(line).params);

// The examples of RFC 7616 §3.9.1 and, with its SHA-512-256 corrected by erratum 4897, §3.9.2.
test('RFC 7616: the published examples come out', () => {
  const input = {
    session: false,
    nonce: '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v',
    method: 'GET',
    uri: '/dir/index.html',
    body: Buffer.alloc(0),
    qop: 'auth',
    nc: '00000001',
    cnonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ',
  } as const;
  const mufasa = (algorithm: 'MD5' | 'SHA-256') =>
    digestResponse({
      ...input,
      algorithm,
      ha1: hashPassword(algorithm, 'Mufasa', 'http-auth@example.org', 'Circle of Life'),
    });
  assert.is(mufasa('MD5'), '8ca523f5e9506fed4657c9700eebdbec');
  assert.is(mufasa('SHA-256'), '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1');
});

// The example of RFC 2617 §3.5, whose form lives on in servers that send no qop (RFC 2069).
test('without qop the form of RFC 2069 is used, and no nc or cnonce is sent', () => {
  const digest = client();
  const round = digest.begin();
  assert.ok(round.challenged(response(401, { 'WWW-Authenticate': challenge('nonce="n1"') })));
  const next = request();
  round.authorize(next);
  const [params] = credentials(next);
  assert.is(params?.has('qop'), false);
  assert.is(params?.has('nc'), false);
  assert.is(params?.has('cnonce'), false);
  assert.is(
    params?.get('response'),
    digestResponse({
      algorithm: 'MD5',
      session: false,
      ha1: hashPassword('MD5', 'alice', 'example.com', 'secret'),
      nonce: 'n1',
      method: 'REGISTER',
      uri: 'sip:example.com',
      body: Buffer.alloc(0),
      qop: undefined,
      nc: '',
      cnonce: '',
    }),
  );
});

test('S38: the topmost challenge that is understood is answered, whatever its strength', () => {
  const md5 = challenge('nonce="m", algorithm=MD5, qop="auth"');
  const sha = challenge('nonce="s", algorithm=SHA-256, qop="auth"');
  const strange = challenge('nonce="x", algorithm=SHA-1024, qop="auth"');
  const answer = (lines: string[]) => {
    const round = client().begin();
    assert.ok(round.challenged(response(401, { 'WWW-Authenticate': lines })));
    const next = request();
    round.authorize(next);
    return credentials(next).map((one) => one.get('algorithm'));
  };
  assert.equal(answer([md5, sha]), ['MD5']);
  assert.equal(answer([sha, md5]), ['SHA-256']);
  assert.equal(answer([strange, sha, md5]), ['SHA-256']);
  assert.equal(
    answer([challenge('nonce="q", qop="auth-conf"'), md5]),
    ['MD5'],
    'unknown qop is no challenge for us',
  );
  assert.equal(answer(['Basic realm="example.com"', 'Digest realm=', md5]), ['MD5']);
});

test('S38: opaque comes back as it was, quoting is right, nc rises per nonce', () => {
  const digest = client();
  const round = digest.begin();
  const opaque = String.raw`a\\b\"c==`;
  round.challenged(
    response(401, {
      'WWW-Authenticate': `Digest realm="example.com",nonce="n/1+=",qop="auth,auth-int",opaque="${opaque}",algorithm=SHA-256`,
    }),
  );
  const counts: (string | undefined)[] = [];
  for (let i = 0; i < 3; i += 1) {
    const next = request();
    digest.begin().authorize(next);
    counts.push(credentials(next)[0]?.get('nc'));
    const line = next.get('Authorization') ?? '';
    assert.match(line, /^Digest username="alice",/);
    assert.match(line, /,qop=auth,/);
    assert.match(line, /,nc=\d{8},/);
    assert.match(line, /algorithm=SHA-256/);
    assert.ok(line.includes(`opaque="${opaque}"`), line);
  }
  assert.equal(counts, ['00000001', '00000002', '00000003']);
});

test('S38: a challenge with the same nonce goes on counting, a new nonce begins at one', () => {
  const digest = client();
  const ask = (nonce: string) => {
    const round = digest.begin();
    const first = request();
    round.authorize(first);
    round.challenged(response(401, { 'WWW-Authenticate': challenge(`nonce="${nonce}", qop="auth"`) }));
    const next = request();
    round.authorize(next);
    return credentials(next)[0]?.get('nc');
  };
  assert.is(ask('a'), '00000001');
  assert.is(ask('a'), '00000003');
  assert.is(ask('b'), '00000001');
});

test('the session variant binds the key to its first nonce and cnonce', () => {
  const digest = client();
  const round = digest.begin();
  round.challenged(
    response(401, { 'WWW-Authenticate': challenge('nonce="n", algorithm=SHA-256-sess, qop="auth"') }),
  );
  const cnonces = new Set<string | undefined>();
  for (let i = 1; i <= 2; i += 1) {
    const next = request();
    round.authorize(next);
    const [params] = credentials(next);
    cnonces.add(params?.get('cnonce'));
    assert.is(params?.get('algorithm'), 'SHA-256-sess');
    assert.is(
      params?.get('response'),
      digestResponse({
        algorithm: 'SHA-256',
        session: true,
        ha1: hashPassword('SHA-256', 'alice', 'example.com', 'secret'),
        nonce: 'n',
        method: 'REGISTER',
        uri: 'sip:example.com',
        body: Buffer.alloc(0),
        qop: 'auth',
        nc: `0000000${i}`,
        cnonce: params?.get('cnonce') ?? '',
      }),
    );
  }
  assert.is(cnonces.size, 1);
});

test('auth-int covers the body, and is only used where nothing else is offered', () => {
  const digest = client();
  const round = digest.begin();
  round.challenged(response(401, { 'WWW-Authenticate': challenge('nonce="n", qop="auth-int"') }));
  const one = request();
  one.body = Buffer.from('body');
  round.authorize(one);
  const [params] = credentials(one);
  assert.is(params?.get('qop'), 'auth-int');
  const expected = (body: string) =>
    digestResponse({
      algorithm: 'MD5',
      session: false,
      ha1: hashPassword('MD5', 'alice', 'example.com', 'secret'),
      nonce: 'n',
      method: 'REGISTER',
      uri: 'sip:example.com',
      body: Buffer.from(body),
      qop: 'auth-int',
      nc: '00000001',
      cnonce: params?.get('cnonce') ?? '',
    });
  assert.is(params?.get('response'), expected('body'));
  assert.is.not(params?.get('response'), expected(''));
});

test('S17: at most two answers per realm, the second only to stale=true', () => {
  const round = client().begin();
  const plain = (nonce: string) =>
    response(401, { 'WWW-Authenticate': challenge(`nonce="${nonce}", qop="auth"`) });
  const stale = (nonce: string) =>
    response(401, { 'WWW-Authenticate': challenge(`nonce="${nonce}", qop="auth", stale=TRUE`) });
  assert.is(round.challenged(plain('1')), true);
  assert.is(round.challenged(plain('2')), false, 'the password was refused');
  const other = client().begin();
  assert.is(other.challenged(plain('1')), true);
  assert.is(other.challenged(stale('2')), true);
  assert.is(other.challenged(stale('3')), false);
});

test('S17: a cached nonce that is refused without stale=true is replaced in the next round', () => {
  const digest = client();
  for (let n = 0; n < 5; n += 1) {
    const round = digest.begin();
    const first = request();
    round.authorize(first);
    assert.is(credentials(first)[0]?.get('nonce'), n === 0 ? undefined : `n${n - 1}`);
    assert.is(
      round.challenged(response(401, { 'WWW-Authenticate': challenge(`nonce="n${n}", qop="auth"`) })),
      true,
    );
    const second = request();
    round.authorize(second);
    assert.is(credentials(second)[0]?.get('nonce'), `n${n}`);
  }
});

test('proxy and server at once: each gets its own header and its own count', () => {
  const digest = client();
  const round = digest.begin();
  round.challenged(response(407, { 'Proxy-Authenticate': 'Digest realm="proxy", nonce="p", qop="auth"' }));
  const second = request();
  round.authorize(second);
  assert.is(credentials(second).length, 0);
  assert.is(credentials(second, 'Proxy-Authorization').length, 1);
  round.challenged(response(401, { 'WWW-Authenticate': challenge('nonce="s", qop="auth"') }));
  const third = request();
  round.authorize(third);
  assert.is(credentials(third)[0]?.get('realm'), 'example.com');
  assert.is(credentials(third)[0]?.get('nc'), '00000001');
  assert.is(credentials(third, 'Proxy-Authorization')[0]?.get('nc'), '00000002');
});

test('several realms in one answer: those that we know get credentials', () => {
  const digest = createDigestClient({ random: createFakeRandom(3) }, [
    { username: 'a', password: 'x', realm: 'one' },
    { username: 'b', ha1: { MD5: hashPassword('MD5', 'b', 'two', 'y') }, realm: 'two' },
  ]);
  const round = digest.begin();
  const ok = round.challenged(
    response(401, {
      'WWW-Authenticate': [
        'Digest realm="two", nonce="2", algorithm=SHA-256, qop="auth"',
        'Digest realm="two", nonce="2", algorithm=MD5, qop="auth"',
        'Digest realm="three", nonce="3", qop="auth"',
        'Digest realm="one", nonce="1", qop="auth"',
      ],
    }),
  );
  assert.is(ok, true);
  const next = request();
  round.authorize(next);
  assert.equal(
    credentials(next).map((one) => [one.get('realm'), one.get('username'), one.get('algorithm')]),
    [
      ['two', 'b', 'MD5'],
      ['one', 'a', undefined],
    ],
  );
});

test('no challenge, another realm, no known algorithm: nothing to answer', () => {
  const round = client('example.com').begin();
  assert.is(round.challenged(response(401, {})), false);
  assert.is(
    round.challenged(response(401, { 'WWW-Authenticate': 'Digest realm="other", nonce="n"' })),
    false,
  );
  assert.is(
    round.challenged(response(401, { 'WWW-Authenticate': challenge('nonce="n", algorithm=ROT13') })),
    false,
  );
  assert.is(round.challenged(response(401, { 'WWW-Authenticate': challenge('qop="auth"') })), false);
  const next = request();
  round.authorize(next);
  assert.is(next.has('Authorization'), false);
});

test('nextnonce is used for the next request, counted from one', () => {
  const digest = client();
  const round = digest.begin();
  round.challenged(response(401, { 'WWW-Authenticate': challenge('nonce="n1", qop="auth"') }));
  round.authorize(request());
  round.learn(response(200, { 'Authentication-Info': 'nextnonce="n2", qop=auth, nc=00000001' }));
  const next = request();
  digest.begin().authorize(next);
  const [params] = credentials(next);
  assert.is(params?.get('nonce'), 'n2');
  assert.is(params?.get('nc'), '00000001');
});

test('a session variant keeps its key over a next nonce (RFC 7616 §3.6)', () => {
  const digest = client();
  const round = digest.begin();
  round.challenged(
    response(401, { 'WWW-Authenticate': challenge('nonce="n1", algorithm=MD5-sess, qop="auth"') }),
  );
  round.authorize(request());
  assert.is(round.learn(response(200, { 'Authentication-Info': 'nextnonce="n2"' })), true);
  const next = request();
  digest.begin().authorize(next);
  const [params] = credentials(next);
  const cnonce = params?.get('cnonce') ?? '';
  assert.is(params?.get('nonce'), 'n2');
  assert.is(
    params?.get('response'),
    digestResponse({
      algorithm: 'MD5',
      session: false,
      ha1: sessionKey('MD5', hashPassword('MD5', 'alice', 'example.com', 'secret'), 'n1', cnonce),
      nonce: 'n2',
      method: 'REGISTER',
      uri: 'sip:example.com',
      body: Buffer.alloc(0),
      qop: 'auth',
      nc: '00000001',
      cnonce,
    }),
  );
});

test('a next nonce beside a wrong rspauth is not believed', () => {
  const digest = client();
  const round = digest.begin();
  round.challenged(response(401, { 'WWW-Authenticate': challenge('nonce="n1", qop="auth"') }));
  round.authorize(request());
  const info = `nextnonce="evil", rspauth="${'0'.repeat(32)}", qop=auth, nc=00000001`;
  assert.is(round.learn(response(200, { 'Authentication-Info': info })), true, 'nobody demanded a proof');
  const next = request();
  digest.begin().authorize(next);
  assert.is(credentials(next)[0]?.get('nonce'), 'n1');
});

test('S17: over a stack, a server that cannot prove itself is a failure where mutual is demanded', async () => {
  const rig = createRig();
  const server = await rig.peer('10.0.0.2');
  const stack = await rig.stack('10.0.0.1');
  const ask = async (mutual: boolean) => {
    const digest = createDigestClient(
      { random: createFakeRandom(8) },
      { username: 'alice', password: 'secret', mutual },
    );
    server.onRequest = (one) =>
      one.has('Authorization')
        ? server.answer(one, 200)
        : server.answer(one, 401, { 'WWW-Authenticate': challenge('nonce="n", qop="auth"') });
    const outcome = stack.send(createRequest({ method: 'MESSAGE', uri: 'sip:bob@10.0.0.2' }), {
      credentials: digest,
    });
    await rig.clock.settle();
    return outcome;
  };
  assert.is((await ask(false)).kind, 'response');
  const refused = await ask(true);
  assert.is(refused.kind === 'failed' && (refused.error as { code?: string }).code, 'SIP_NOT_MUTUAL');
  await stack.stop();
});

test('realm and user name with quotes and umlauts survive, and hash as their bytes', () => {
  const digest = createDigestClient(
    { random: createFakeRandom(3) },
    { username: 'jäger "j"', password: 'schlüssel' },
  );
  const round = digest.begin();
  const realm = String.raw`B\"üro`;
  const challenged = response(401, { 'WWW-Authenticate': `Digest realm="${realm}", nonce="n", qop="auth"` });
  assert.ok(round.challenged(challenged));
  const next = request();
  round.authorize(next);
  const [params] = credentials(next);
  assert.is(
    params?.get('response'),
    digestResponse({
      algorithm: 'MD5',
      session: false,
      ha1: hashPassword('MD5', 'jäger "j"', 'B"üro', 'schlüssel'),
      nonce: 'n',
      method: 'REGISTER',
      uri: 'sip:example.com',
      body: Buffer.alloc(0),
      qop: 'auth',
      nc: '00000001',
      cnonce: params?.get('cnonce') ?? '',
    }),
  );
});

test('a server that invents realms does not fill the memory', () => {
  const digest = client();
  for (let n = 0; n < 100; n += 1)
    digest.begin().challenged(response(401, { 'WWW-Authenticate': `Digest realm="r${n}", nonce="n"` }));
  const next = request();
  digest.begin().authorize(next);
  assert.is(credentials(next).length, 16);
});

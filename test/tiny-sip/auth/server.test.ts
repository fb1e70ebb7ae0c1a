import {
  createDigestClient,
  createDigestServer,
  createRequest,
  createResponse,
  type DigestServerOptions,
  hashPassword,
  parseChallenge,
  type SipRequest,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { digestResponse } from '../../../src/tiny-sip/auth/algorithm.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { createFakeRandom } from '../../support/fake-random.ts';
import { suite } from '../../support/harness.ts';

const test = suite('tiny-sip digest server');

function scene(options: Partial<DigestServerOptions> = {}) {
  const clock = createFakeClock();
  const server = createDigestServer(
    { clock, random: createFakeRandom(1) },
    {
      realm: 'example.com',
      lookup: (user) => (user === 'alice' ? { password: 'secret' } : undefined),
      ...options,
    },
  );
  const client = (password = 'secret', username = 'alice') =>
    createDigestClient({ random: createFakeRandom(2) }, { username, password });
  return { clock, server, client };
}

const request = (uri = 'sip:example.com', body = ''): SipRequest =>
  createRequest({
    method: 'REGISTER',
    uri,
    headers: {
      Via: 'SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa',
      From: '<sip:alice@example.com>;tag=1',
      To: '<sip:alice@example.com>',
      'Call-ID': 'c',
      CSeq: '1 REGISTER',
    },
    body,
  });

type Scene = ReturnType<typeof scene>;

/** One request of a client: the verdict without, and the one after its answer. */
function attempt(
  { server }: Scene,
  round: ReturnType<ReturnType<Scene['client']>['begin']>,
  one = request(),
) {
  round.authorize(one);
  const verdict = server.check(one, { source: '10.0.0.1' });
  if (!verdict.ok && verdict.status === 401)
    return {
      verdict,
      more: round.challenged(createResponse(one, 401, { headers: verdict.headers, toTag: 't' })),
    };
  return { verdict, more: false };
}

test('challenges with SHA-256 first and MD5 second, each with qop and realm', () => {
  const { server } = scene();
  const verdict = server.check(request());
  assert.is(verdict.ok, false);
  if (verdict.ok) return;
  assert.is(verdict.status, 401);
  assert.is(verdict.cause, 'none');
  const challenges = (verdict.headers['WWW-Authenticate'] ?? []).map((line) => parseChallenge(line).params);
  assert.equal(
    challenges.map((one) => [one.get('algorithm'), one.get('qop'), one.get('realm'), one.has('stale')]),
    [
      ['SHA-256', 'auth', 'example.com', false],
      ['MD5', 'auth', 'example.com', false],
    ],
  );
});

test('client and server agree: every algorithm, qop, password or hash, proxy or server', () => {
  for (const algorithm of ['MD5', 'SHA-256', 'SHA-512-256'] as const)
    for (const integrity of [false, true])
      for (const proxy of [false, true])
        for (const hashed of [false, true]) {
          const one = scene({
            algorithms: [algorithm],
            integrity,
            lookup: () =>
              hashed
                ? { ha1: { [algorithm]: hashPassword(algorithm, 'alice', 'example.com', 'secret') } }
                : { password: 'secret' },
          });
          const round = one.client().begin();
          const first = request();
          const refused = one.server.check(first, { proxy });
          assert.is(refused.ok, false);
          if (refused.ok) return;
          assert.is(refused.status, proxy ? 407 : 401);
          round.challenged(createResponse(first, refused.status, { headers: refused.headers, toTag: 't' }));
          const second = request('sip:example.com', 'body');
          round.authorize(second);
          const verdict = one.server.check(second, { proxy });
          assert.is(verdict.ok && verdict.user, 'alice', `${algorithm} ${integrity} ${proxy} ${hashed}`);
        }
});

test('the cached nonce serves further requests without a challenge', () => {
  const one = scene();
  const client = one.client();
  const first = client.begin();
  assert.is(attempt(one, first).more, true);
  assert.is(attempt(one, first).verdict.ok, true);
  for (let n = 0; n < 50; n += 1) assert.is(attempt(one, client.begin()).verdict.ok, true);
  assert.is(one.server.counts().nonces, 1);
});

test('a replayed request is refused, and challenged anew as stale', () => {
  const one = scene();
  const round = one.client().begin();
  attempt(one, round);
  const signed = request();
  round.authorize(signed);
  assert.is(one.server.check(signed).ok, true);
  const again = one.server.check(signed);
  assert.is(!again.ok && again.cause, 'replay');
  assert.is(!again.ok && again.status, 401);
  assert.match(!again.ok ? (again.headers['WWW-Authenticate']?.[0] ?? '') : '', /stale=true/);
});

test('requests may overtake each other by up to 31 counts, each of them once', () => {
  const one = scene();
  const round = one.client().begin();
  attempt(one, round);
  const signed = Array.from({ length: 40 }, () => {
    const next = request();
    round.authorize(next);
    return next;
  });
  const check = (n: number) => {
    const next = signed[n];
    return next !== undefined && one.server.check(next).ok;
  };
  assert.is(check(39), true);
  assert.is(check(38), true);
  assert.is(check(38), false);
  assert.is(check(8), true, '31 behind');
  assert.is(check(8), false);
  assert.is(check(7), false, '32 behind');
});

test('a nonce grows old: challenged as stale, and the right password need not be asked for again', async () => {
  const one = scene({ nonceLife: 10_000 });
  const client = one.client();
  const first = client.begin();
  attempt(one, first);
  assert.is(attempt(one, first).verdict.ok, true);
  await one.clock.advance(10_001);
  const later = client.begin();
  const { verdict, more } = attempt(one, later);
  assert.is(!verdict.ok && verdict.cause, 'stale');
  assert.is(more, true);
  assert.is(attempt(one, later).verdict.ok, true);
});

test('a nonce near its end is followed by nextnonce', async () => {
  const one = scene({ nonceLife: 10_000 });
  const client = one.client();
  const round = client.begin();
  attempt(one, round);
  await one.clock.advance(8_000);
  const signed = request();
  round.authorize(signed);
  const verdict = one.server.check(signed);
  assert.is(verdict.ok, true);
  if (!verdict.ok) return;
  assert.match(verdict.headers['Authentication-Info']?.[0] ?? '', /^nextnonce="/);
  round.learn(createResponse(signed, 200, { headers: verdict.headers, toTag: 't' }));
  await one.clock.advance(5_000);
  assert.is(attempt(one, client.begin()).verdict.ok, true, 'the old nonce would be stale by now');
});

test('nonces of another realm, of before a restart, or made up are stale or wrong, never good', () => {
  const one = scene();
  const other = createDigestServer(
    { clock: one.clock, random: createFakeRandom(99) },
    { realm: 'example.com', lookup: () => ({ password: 'secret' }) },
  );
  const client = one.client();
  const round = client.begin();
  attempt(one, round);
  const signed = request();
  round.authorize(signed);
  const verdict = other.check(signed);
  assert.is(!verdict.ok && verdict.cause, 'stale');
  const forged = request();
  forged.set(
    'Authorization',
    (signed.get('Authorization') ?? '').replace(/nonce="[^"]*"/, 'nonce="made.up.nonce"'),
  );
  assert.is(one.server.check(forged).ok, false);
});

test('wrong password and unknown user look the same, and too many of them are not looked at', async () => {
  const one = scene({ failures: 3, failureWindow: 60_000 });
  const verdicts = (client: ReturnType<Scene['client']>) => {
    const round = client.begin();
    attempt(one, round);
    return attempt(one, round).verdict;
  };
  for (const client of [one.client('wrong'), one.client('secret', 'mallory')]) {
    const verdict = verdicts(client);
    assert.is(!verdict.ok && verdict.cause, 'wrong');
    assert.is(!verdict.ok && verdict.status, 401);
  }
  verdicts(one.client('wrong'));
  verdicts(one.client('wrong'));
  const limited = verdicts(one.client('secret'));
  assert.is(!limited.ok && limited.cause, 'limited', 'even the right password');
  assert.is(!limited.ok && limited.status, 403);
  await one.clock.advance(60_001);
  assert.is(verdicts(one.client('secret')).ok, true);
});

test('failures are counted per user and source', () => {
  const one = scene({ failures: 1 });
  const bad = one.client('wrong').begin();
  attempt(one, bad);
  attempt(one, bad);
  const good = one.client().begin();
  const first = request();
  const challenge = one.server.check(first, { source: '10.0.0.2' });
  assert.is(challenge.ok, false);
  if (challenge.ok) return;
  good.challenged(createResponse(first, 401, { headers: challenge.headers, toTag: 't' }));
  const signed = request();
  good.authorize(signed);
  assert.is(one.server.check(signed, { source: '10.0.0.2' }).ok, true);
});

test('malformed and incomplete credentials get 400, those of another realm are passed over', () => {
  const one = scene();
  const round = one.client().begin();
  attempt(one, round);
  const signed = request();
  round.authorize(signed);
  const line = signed.get('Authorization') ?? '';
  const check = (text: string, uri?: string) => {
    const next = request(uri);
    next.set('Authorization', text);
    const verdict = one.server.check(next);
    return verdict.ok ? 200 : `${verdict.status} ${verdict.cause}`;
  };
  assert.is(check('Digest'), '401 none');
  assert.is(check('Digest realm="example.com'), '400 malformed');
  assert.is(
    check('Digest username="alice",realm="example.com",nonce="",uri="sip:example.com",response=""'),
    '401 none',
  );
  assert.is(check('Digest realm="example.com"'), '400 malformed');
  assert.is(check(line.replace(/nc=\d+/, 'nc=1')), '400 malformed');
  assert.is(check(line.replace(/cnonce="[^"]*",/, '')), '400 malformed');
  assert.is(check(line.replace('qop=auth', 'qop=auth-conf')), '400 malformed');
  assert.is(check(line, 'sip:other.org'), '400 malformed');
  assert.is(check(line.replace('realm="example.com"', 'realm="other"')), '401 none');
  assert.is(check('Basic YTpi'), '401 none');
  assert.is(check(line.replace('algorithm=SHA-256', 'algorithm=SHA-512-256')), '401 none', 'never offered');
  assert.is(check(line.replace('algorithm=SHA-256', 'algorithm=SHA-256-sess')), '401 wrong', 'another key');
  assert.is(check(line.replace(/cnonce="[^"]*"/, `cnonce="${'x'.repeat(300)}"`)), '400 malformed');
  assert.is(check(line), 200);
});

/** What a client answers to this challenge, whatever the server offered. */
function answer(
  one: Scene,
  client: ReturnType<Scene['client']>,
  change: (line: string) => string,
  body = '',
): { first: SipRequest; again: (body?: string) => SipRequest } {
  const refused = one.server.check(request());
  if (refused.ok) throw new Error('not challenged');
  const [line = ''] = refused.headers['WWW-Authenticate'] ?? [];
  const round = client.begin();
  round.challenged(
    createResponse(request(), 401, { headers: { 'WWW-Authenticate': change(line) }, toTag: 't' }),
  );
  const again = (text = body): SipRequest => {
    const next = request('sip:example.com', text);
    round.authorize(next);
    return next;
  };
  return { first: again(), again };
}

test('RFC 7616 §3.4.2: session variants are good, offered or not, and bound to the first cnonce', () => {
  for (const algorithm of ['MD5', 'SHA-256', 'SHA-512-256'] as const)
    for (const offered of [algorithm, `${algorithm}-sess` as const]) {
      const one = scene({ algorithms: [offered] });
      const { first, again } = answer(one, one.client(), (line) =>
        line.replace(/algorithm=[^,]*/, `algorithm=${algorithm}-sess`),
      );
      assert.is(one.server.check(first).ok, true, offered);
      assert.is(one.server.check(again()).ok, true, offered);
      const replayed = one.server.check(first);
      assert.is(!replayed.ok && replayed.cause, 'replay');
      // No next nonce: the key stays with the nonce until the next challenge.
      const other = one.client('wrong');
      const wrong = answer(one, other, (line) =>
        line.replace(/algorithm=[^,]*/, `algorithm=${algorithm}-sess`),
      );
      const verdict = one.server.check(wrong.first);
      assert.is(!verdict.ok && verdict.cause, 'wrong');
    }
});

test('a session variant that is bound to each cnonce anew is good too', () => {
  const one = scene({ algorithms: ['SHA-256-sess'] });
  const refused = one.server.check(request());
  if (refused.ok) throw new Error('not challenged');
  const nonce =
    parseChallenge((refused.headers['WWW-Authenticate'] ?? [])[0] ?? '').params.get('nonce') ?? '';
  for (const [index, cnonce] of ['a', 'b', 'c'].entries()) {
    const signed = request();
    const nc = `0000000${index + 1}`;
    const response = digestResponse({
      algorithm: 'SHA-256',
      session: true,
      ha1: hashPassword('SHA-256', 'alice', 'example.com', 'secret'),
      nonce,
      method: 'REGISTER',
      uri: 'sip:example.com',
      body: Buffer.alloc(0),
      qop: 'auth',
      nc,
      cnonce,
    });
    signed.add(
      'Authorization',
      `Digest username="alice",realm="example.com",nonce="${nonce}",uri="sip:example.com",` +
        `response="${response}",algorithm=SHA-256-sess,qop=auth,nc=${nc},cnonce="${cnonce}"`,
    );
    assert.is(one.server.check(signed).ok, true, cnonce);
  }
});

test('auth-int is good though only auth was offered, and covers the body', () => {
  const one = scene();
  const { first, again } = answer(
    one,
    one.client(),
    (line) => line.replace('qop="auth"', 'qop="auth-int"'),
    'open',
  );
  assert.match(first.get('Authorization') ?? '', /qop=auth-int/);
  assert.is(one.server.check(first).ok, true);
  const touched = again('open');
  touched.body = Buffer.from('shut');
  const verdict = one.server.check(touched);
  assert.is(!verdict.ok && verdict.cause, 'wrong');
});

test('RFC 7616 §3.5: rspauth proves that the server knows the password, over the body with auth-int', () => {
  for (const qop of ['auth', 'auth-int'])
    for (const session of [false, true]) {
      const one = scene({
        mutual: true,
        integrity: true,
        algorithms: [session ? 'SHA-256-sess' : 'SHA-256'],
      });
      const client = createDigestClient(
        { random: createFakeRandom(2) },
        { username: 'alice', password: 'secret', mutual: true },
      );
      const first = request();
      const refused = one.server.check(first);
      if (refused.ok) throw new Error('not challenged');
      const round = client.begin();
      const [line = ''] = refused.headers['WWW-Authenticate'] ?? [];
      const challenge = line.replace(/qop="[^"]*"/, `qop="${qop}"`);
      round.challenged(
        createResponse(first, 401, { headers: { 'WWW-Authenticate': challenge }, toTag: 't' }),
      );
      const signed = request();
      round.authorize(signed);
      const verdict = one.server.check(signed);
      assert.is(verdict.ok, true);
      if (!verdict.ok) return;
      const learnt = (headers: Readonly<Record<string, readonly string[]>>, body = ''): boolean =>
        round.learn(createResponse(signed, 200, { headers, body, toTag: 't' }));
      assert.is(learnt(verdict.headers), true);
      assert.is(learnt(verdict.headersFor('hello'), 'hello'), true);
      assert.is(learnt(verdict.headersFor('hello'), 'other'), qop === 'auth');
      assert.is(learnt({}), false, 'no proof');
      const forged = (verdict.headers['Authentication-Info'] ?? []).map((info) =>
        info.replace(/rspauth="./, (text) => `${text.slice(0, -1)}${text.endsWith('0') ? '1' : '0'}`),
      );
      assert.is(learnt({ 'Authentication-Info': forged }), false);
    }
});

test('a nonce has one spelling, and no bit of it may change', () => {
  const one = scene();
  const { first } = answer(one, one.client(), (line) => line);
  const params = parseChallenge(first.get('Authorization') ?? '').params;
  const nonce = params.get('nonce') ?? '';
  const sign = (other: string): SipRequest => {
    const signed = request();
    const response = digestResponse({
      algorithm: 'SHA-256',
      session: false,
      ha1: hashPassword('SHA-256', 'alice', 'example.com', 'secret'),
      nonce: other,
      method: 'REGISTER',
      uri: 'sip:example.com',
      body: Buffer.alloc(0),
      qop: 'auth',
      nc: '00000001',
      cnonce: 'c',
    });
    signed.add(
      'Authorization',
      `Digest username="alice",realm="example.com",nonce="${other}",uri="sip:example.com",` +
        `response="${response}",algorithm=SHA-256,qop=auth,nc=00000001,cnonce="c"`,
    );
    return signed;
  };
  // Even whoever knows the password gets no further with a nonce that this server did not make.
  const bytes = Buffer.from(nonce, 'base64url');
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const changed = Buffer.from(bytes);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const verdict = one.server.check(sign(changed.toString('base64url')));
    assert.is(!verdict.ok && verdict.cause, 'stale', `bit ${bit}`);
  }
  for (const other of [
    `${nonce}=`,
    `${nonce}!`,
    ` ${nonce}`,
    `${nonce.slice(0, 5)}.${nonce.slice(5)}`,
    nonce.slice(1),
  ]) {
    const verdict = one.server.check(sign(other));
    assert.is(!verdict.ok && verdict.cause, 'stale', other);
  }
  assert.is(one.server.counts().nonces, 0);
  assert.is(one.server.check(sign(nonce)).ok, true);
});

test('whatever order counts come in, none is good twice', () => {
  const one = scene({ algorithms: ['MD5'] });
  const { again, first } = answer(one, one.client(), (line) => line);
  const signed = [first, ...Array.from({ length: 199 }, () => again())];
  const random = createFakeRandom(5);
  const passed = new Map<SipRequest, number>();
  for (let turn = 0; turn < 2_000; turn += 1) {
    // Near each other, as datagrams overtake, and now and then from long ago.
    const near = Math.floor(turn / 10) + Math.floor(random.float() * 40);
    const index = random.float() < 0.1 ? Math.floor(random.float() * near) : near;
    const next = signed[Math.min(199, index)];
    if (next !== undefined && one.server.check(next).ok) passed.set(next, (passed.get(next) ?? 0) + 1);
  }
  assert.ok(passed.size > 50, `${passed.size} passed`);
  assert.equal(
    [...passed.values()].filter((times) => times > 1),
    [],
  );
});

test('the highest count ends a nonce: it is challenged anew, and the next nonce was told', () => {
  const one = scene();
  const { first } = answer(one, one.client(), (line) => line);
  const nonce = parseChallenge(first.get('Authorization') ?? '').params.get('nonce') ?? '';
  const sign = (nc: string): SipRequest => {
    const signed = request();
    const response = digestResponse({
      algorithm: 'SHA-256',
      session: false,
      ha1: hashPassword('SHA-256', 'alice', 'example.com', 'secret'),
      nonce,
      method: 'REGISTER',
      uri: 'sip:example.com',
      body: Buffer.alloc(0),
      qop: 'auth',
      nc,
      cnonce: 'c',
    });
    signed.add(
      'Authorization',
      `Digest username="alice",realm="example.com",nonce="${nonce}",uri="sip:example.com",` +
        `response="${response}",algorithm=SHA-256,qop=auth,nc=${nc},cnonce="c"`,
    );
    return signed;
  };
  assert.is(one.server.check(sign('00000001')).ok, true);
  const last = one.server.check(sign('ffffffff'));
  assert.match(String(last.ok && last.headers['Authentication-Info']), /nextnonce=/);
  for (const nc of ['ffffffff', '00000001', '00000002', '00000000']) {
    const verdict = one.server.check(sign(nc));
    assert.is(!verdict.ok && verdict.cause, 'replay', nc);
    assert.match(String(!verdict.ok && verdict.headers['WWW-Authenticate']), /stale=true/);
  }
});

test('users that do not exist, or have no hash of that kind, are told the same as a wrong password', () => {
  const secrets: Record<string, { password: string } | { ha1: Record<string, string> }> = {
    alice: { password: 'secret' },
    bob: { ha1: { MD5: hashPassword('MD5', 'bob', 'example.com', 'secret') } },
  };
  const one = scene({ lookup: (user) => secrets[user], algorithms: ['SHA-256'] });
  const told = ['alice', 'bob', 'nobody'].map((user) => {
    const { first } = answer(one, one.client('wrong', user), (line) => line);
    const verdict = one.server.check(first, { source: '10.0.0.9' });
    return JSON.stringify(verdict).replace(/nonce=\\"[^"]*"/g, '');
  });
  assert.is(new Set(told).size, 1, told.join(' '));
  assert.match(String(told[0]), /401/);
});

test('inventing users neither fills the memory nor hides guessing', () => {
  const one = scene({ failures: 3, sourceFailures: 50 });
  const guess = (user: string, source: string) => {
    const { first } = answer(one, one.client('wrong', user), (line) => line);
    const verdict = one.server.check(first, { source });
    return verdict.ok ? 'ok' : verdict.cause;
  };
  const told: string[] = [];
  for (let n = 0; n < 60; n += 1) told.push(guess(`user${n}${'x'.repeat(5_000)}`, '10.0.0.9'));
  assert.equal(told.filter((cause) => cause === 'wrong').length, 50);
  assert.is(told.at(-1), 'limited');
  // Others go on.
  assert.is(guess('alice', '10.0.0.8'), 'wrong');
  for (let n = 0; n < 3_000; n += 1) guess(`user${n}`, `10.1.${n >> 8}.${n & 255}`);
  assert.ok((one.server.counts().throttled ?? 0) <= 2_000, String(one.server.counts().throttled));
});

test('credentials for several realms: ours are found among them', () => {
  const one = scene();
  const round = one.client().begin();
  attempt(one, round);
  const signed = request();
  signed.add('Authorization', 'Digest username="x", realm="other", nonce="n", uri="sip:x", response="r"');
  round.authorize(signed);
  const verdict = one.server.check(signed);
  assert.is(verdict.ok && verdict.user, 'alice');
});

test('a client without qop may use a nonce once', () => {
  const one = scene({ algorithms: ['MD5'] });
  const sign = () => {
    const first = request();
    const refused = one.server.check(first);
    assert.is(refused.ok, false);
    if (refused.ok) return first;
    const [line = ''] = refused.headers['WWW-Authenticate'] ?? [];
    const round = one.client().begin();
    round.challenged(
      createResponse(first, 401, {
        headers: { 'WWW-Authenticate': line.replace(/,?qop="auth"/, '') },
        toTag: 't',
      }),
    );
    round.authorize(first);
    return first;
  };
  const signed = sign();
  assert.is(signed.get('Authorization')?.includes('qop'), false);
  assert.is(one.server.check(signed).ok, true);
  const again = one.server.check(signed);
  assert.is(!again.ok && again.cause, 'stale');
  assert.is(one.server.check(sign()).ok, true);
});

test('the table of nonces is bounded; what was forgotten is challenged anew, never replayable', () => {
  const one = scene({ nonces: 4 });
  const signed: SipRequest[] = [];
  for (let n = 0; n < 10; n += 1) {
    const round = one.client().begin();
    attempt(one, round);
    const next = request();
    round.authorize(next);
    signed.push(next);
    one.server.check(next);
    assert.ok((one.server.counts().nonces ?? 0) <= 4);
  }
  for (const next of signed) assert.is(one.server.check(next).ok, false);
});

test('challenges alone cost no memory', () => {
  const one = scene();
  for (let n = 0; n < 1_000; n += 1) one.server.check(request());
  assert.is(one.server.counts().nonces, 0);
});

test('a proxy may have changed the Request-URI: the digest-uri may mean the To instead, or whatever the owner says', () => {
  const one = scene();
  const round = one.client().begin();
  attempt(one, round);
  const signed = request('sip:alice@example.com');
  round.authorize(signed);
  signed.uri = 'sip:alice@10.0.0.1:4444;transport=tcp';
  assert.is(one.server.check(signed).ok, true);
  const other = scene({ covers: (uri) => uri.includes('10.9.9.9') });
  const second = other.client().begin();
  attempt(other, second);
  const odd = request('sip:10.9.9.9:5060');
  second.authorize(odd);
  odd.uri = 'sip:example.com';
  assert.is(other.server.check(odd).ok, true);
});

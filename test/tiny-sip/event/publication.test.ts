import {
  type BodyKind,
  createDigestClient,
  createLane,
  createPublication,
  type HeaderInit,
  type Lane,
  type Publication,
  type PublicationInfo,
  type PublicationOptions,
  type PublicationState,
  type SipRequest,
  type Stack,
  serialise,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createFakeRandom } from '../../support/fake-random.ts';
import { suite } from '../../support/harness.ts';
import { createRig, type Peer, type Rig } from '../rig.ts';

const test = suite('tiny-sip publication client');

const target = { protocol: 'udp', host: '10.0.0.2', port: 5060, name: '10.0.0.2' } as const;
const aor = 'sip:freezer@example.com';

interface Scene extends Omit<Rig, 'stack'> {
  readonly stack: Stack;
  readonly esc: Peer;
  readonly states: PublicationState[];
  readonly bodies: { kind: BodyKind; content: string }[];
  readonly accepted: { token: unknown; info: PublicationInfo }[];
  /** What the next body says. */
  value: number;
  publication(options?: Partial<PublicationOptions>): Publication;
  /** Lets the ESC answer everything from now on as RFC 3903 says. */
  serve(expires?: number): void;
}

async function scene(): Promise<Scene> {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1');
  const esc = await rig.peer('10.0.0.2');
  const one: Scene = {
    ...rig,
    stack,
    esc,
    states: [],
    bodies: [],
    accepted: [],
    value: 0,
    publication: (options = {}) =>
      createPublication(
        { stack, clock: rig.clock, random: createFakeRandom(5), log: rig.log },
        {
          aor,
          way: () => ({ target }),
          body(kind) {
            const content = `<${one.value}/>`;
            one.bodies.push({ kind, content });
            return { contentType: 'application/pidf+xml', content, token: one.value };
          },
          accepted: (token, info) => void one.accepted.push({ token, info }),
          onState: (state) => void one.states.push(state),
          ...options,
        },
      ),
    serve(expires = 120) {
      let n = 0;
      esc.onRequest = (request) => {
        n += 1;
        const asked = request.expires ?? 0;
        esc.answer(request, 200, { 'SIP-ETag': `t${n}`, Expires: Math.min(asked, expires) });
      };
    },
  };
  return one;
}

const kindOf = (request: SipRequest): string =>
  `${request.get('SIP-If-Match') ?? '-'} ${request.get('Expires')} ${request.text() || '-'}`;

// EPA                ESC
//  |--PUBLISH body---->|  initial: no SIP-If-Match
//  |<----200 t1--------|
//  |--PUBLISH t1 body->|  modify
//  |<----200 t2--------|
//  |--PUBLISH t2------>|  refresh without body, well before 120 s
//  |<----200 t3--------|
//  |--PUBLISH t3 exp 0>|  remove
//  |<----200-----------|
test('initial, modify, refresh without body, remove: each on the tag of the last 200', async () => {
  const one = await scene();
  one.serve();
  const publication = one.publication();
  one.value = 1;
  publication.changed();
  await one.clock.settle();
  one.value = 2;
  publication.changed();
  await one.clock.settle();
  await one.clock.advance(50_000);
  const removed = publication.remove();
  await one.clock.settle();
  await removed;
  assert.equal(one.esc.requests('PUBLISH').map(kindOf), ['- 120 <1/>', 't1 120 <2/>', 't2 120 -', 't3 0 -']);
  assert.equal(
    one.bodies.map((body) => body.kind),
    ['initial', 'modify'],
  );
  assert.equal(
    one.accepted.map(({ token, info }) => [token, info.tag]),
    [
      [1, 't1'],
      [2, 't2'],
    ],
  );
  const [first] = one.esc.requests();
  assert.is(first?.get('Event'), 'presence');
  assert.is(first?.uri, aor);
  assert.is(first?.get('Content-Type'), 'application/pidf+xml');
  assert.is(publication.state.kind, 'removed');
  await one.clock.advance(6_000);
  assert.is(one.clock.pending(), 0);
});

test('S9: a refresh carries no body and stays under 500 bytes, compact with credentials, too', async () => {
  const one = await scene();
  const credentials = createDigestClient(
    { random: createFakeRandom(4) },
    { username: 'freezer', password: 'x' },
  );
  one.esc.onRequest = (request) => {
    if (request.has('Authorization'))
      one.esc.answer(request, 200, { 'SIP-ETag': 'a7d1c0ffee', Expires: 120 });
    else
      one.esc.answer(request, 401, {
        'WWW-Authenticate':
          'Digest realm="example.com",nonce="ZW5jcnlwdGVkLW5vbmNl",qop="auth",algorithm=MD5',
      });
  };
  const compact = await one.stack;
  assert.ok(compact);
  const publication = one.publication({ credentials });
  publication.changed();
  await one.clock.advance(50_000);
  const refresh = one.esc.last('PUBLISH');
  assert.is(refresh.body.length, 0);
  assert.ok(refresh.has('Authorization'));
  const plain = refresh.copy().remove('Authorization');
  assert.ok(serialise(plain).length < 500, `${serialise(plain).length} bytes`);
  assert.ok(serialise(plain, { compact: true }).length < 400);
  const whole = serialise(refresh, { compact: true }).length;
  assert.ok(whole < 500, `${whole} bytes`);
  publication.stop();
});

// EPA                 ESC
//  |--PUBLISH 1------->|
//  |   20 changes      |   nothing leaves
//  |<----200 t1--------|
//  |--PUBLISH t1, 20-->|   one, with the last state
test('S1: 20 changes within 10 ms leave at most one PUBLISH outstanding, and the last state wins', async () => {
  const one = await scene();
  const publication = one.publication();
  let outstanding = 0;
  let most = 0;
  one.esc.onRequest = () => {
    outstanding += 1;
    most = Math.max(most, outstanding);
  };
  for (one.value = 1; one.value < 20; one.value += 1) {
    publication.changed();
    await one.clock.advance(0.5);
  }
  one.value = 20;
  publication.changed();
  await one.clock.settle();
  assert.is(one.esc.requests().length, 1);
  outstanding -= 1;
  one.esc.answer(one.esc.last(), 200, { 'SIP-ETag': 't1', Expires: 120 });
  await one.clock.settle();
  assert.is(one.esc.requests().length, 2);
  assert.is(kindOf(one.esc.last()), 't1 120 <20/>');
  outstanding -= 1;
  one.esc.answer(one.esc.last(), 200, { 'SIP-ETag': 't2', Expires: 120 });
  await one.clock.settle();
  assert.is(one.esc.requests().length, 2);
  assert.is(most, 1);
  assert.is(one.accepted.at(-1)?.token, 20);
  publication.stop();
});

test('S2: a change while a PUBLISH is in flight is stamped with the tag that comes back', async () => {
  const one = await scene();
  const publication = one.publication();
  publication.changed();
  await one.clock.settle();
  one.value = 1;
  publication.changed();
  await one.clock.settle();
  assert.is(one.esc.requests().length, 1);
  one.esc.answer(one.esc.last(), 200, { 'SIP-ETag': 'fresh', Expires: 120 });
  await one.clock.settle();
  assert.is(one.esc.last().get('SIP-If-Match'), 'fresh');
  publication.stop();
});

// EPA                ESC
//  |--PUBLISH t1 2---->|
//  |<----412-----------|
//  |--PUBLISH 2------->|  one initial, at once
//  |<----200 t2--------|
//  |--PUBLISH t2 3---->|
//  |<----412-----------|  again: back off
//  |     30 s or more  |
//  |--PUBLISH 3------->|
test('S1: a 412 leads to exactly one initial PUBLISH; a second one backs off', async () => {
  const one = await scene();
  const forgotten: number[] = [];
  const publication = one.publication({ forgotten: () => void forgotten.push(one.clock.now()) });
  one.esc.onRequest = (request) => {
    if (request.has('SIP-If-Match')) one.esc.answer(request, 412);
    else one.esc.answer(request, 200, { 'SIP-ETag': 'x', Expires: 120 });
  };
  publication.changed();
  await one.clock.settle();
  one.value = 2;
  publication.changed();
  await one.clock.settle();
  assert.equal(one.esc.requests().map(kindOf), ['- 120 <0/>', 'x 120 <2/>', '- 120 <2/>']);
  assert.is(publication.state.kind, 'published');
  one.value = 3;
  publication.changed();
  await one.clock.settle();
  assert.is(publication.state.kind, 'waiting');
  one.value = 4;
  publication.changed();
  await one.clock.advance(29_900);
  assert.is(one.esc.requests().length, 4, 'nothing for 30 s');
  await one.clock.advance(9_000);
  assert.is(one.esc.requests().length, 5);
  assert.is(kindOf(one.esc.last()), '- 120 <4/>');
  assert.is(publication.state.kind, 'published');
  assert.is(forgotten.length, 2);
  publication.stop();
});

test('S1: a server that answers 412 to everything is asked twice, then every 30 s and more', async () => {
  const one = await scene();
  const times: number[] = [];
  one.esc.onRequest = (request) => {
    times.push(one.clock.now());
    one.esc.answer(request, 412);
  };
  const publication = one.publication({ stored: { tag: 'old', expiresAt: 100_000 } });
  publication.changed();
  await one.clock.advance(200_000);
  assert.ok(times.length <= 5, `${times.length} requests in 200 s`);
  assert.is(times.filter((time) => time < 30_000).length, 2);
  publication.stop();
});

test('a 412 to a refresh publishes the whole state again', async () => {
  const one = await scene();
  one.esc.onRequest = (request) =>
    request.body.length === 0
      ? one.esc.answer(request, 412)
      : one.esc.answer(request, 200, { 'SIP-ETag': 'x', Expires: 120 });
  const publication = one.publication();
  publication.changed();
  await one.clock.advance(60_000);
  assert.equal(one.esc.requests().map(kindOf).slice(0, 3), ['- 120 <0/>', 'x 120 -', '- 120 <0/>']);
  publication.stop();
});

// EPA (restarted)     ESC
//  |--PUBLISH old 1-->|   conditional on what the run-time directory held
//  |<----200 t1-------|
test('S3, S4: a stored tag is tried conditional first, with the whole document', async () => {
  const one = await scene();
  one.serve();
  const publication = one.publication({ stored: { tag: 'kept', expiresAt: 60_000 } });
  one.value = 1;
  publication.changed();
  await one.clock.settle();
  one.value = 2;
  publication.changed();
  await one.clock.settle();
  assert.equal(one.esc.requests().map(kindOf), ['kept 120 <1/>', 't1 120 <2/>']);
  assert.equal(
    one.bodies.map((body) => body.kind),
    ['replace', 'modify'],
  );
  publication.stop();
});

test('S3: a stored tag that is long past its time is not tried', async () => {
  const one = await scene();
  one.serve();
  await one.clock.advance(100_000);
  const publication = one.publication({ stored: { tag: 'kept', expiresAt: 60_000 } });
  publication.changed();
  await one.clock.settle();
  assert.equal(one.esc.requests().map(kindOf), ['- 120 <0/>']);
  publication.stop();
});

test('S3: a stored tag that the server forgot leads to one initial publication', async () => {
  const one = await scene();
  one.esc.onRequest = (request) =>
    request.has('SIP-If-Match')
      ? one.esc.answer(request, 412)
      : one.esc.answer(request, 200, { 'SIP-ETag': 'x', Expires: 120 });
  const publication = one.publication({ stored: { tag: 'kept', expiresAt: 60_000 } });
  publication.changed();
  await one.clock.settle();
  assert.equal(one.esc.requests().map(kindOf), ['kept 120 <0/>', '- 120 <0/>']);
  publication.stop();
});

// EPA                 ESC
//  |  changed()        |   not registered: nothing leaves
//  |  REGISTER -> 200  |
//  |--PUBLISH--------->|
test('S5: nothing leaves before the way is there, and then the last state does', async () => {
  const one = await scene();
  one.serve();
  let registered = false;
  const publication = one.publication({ way: () => (registered ? { target } : undefined) });
  one.value = 1;
  publication.changed();
  await one.clock.advance(10_000);
  assert.is(one.esc.received.length, 0);
  assert.is(publication.state.kind, 'blocked');
  one.value = 2;
  publication.changed();
  registered = true;
  publication.wake();
  await one.clock.settle();
  assert.equal(one.esc.requests().map(kindOf), ['- 120 <2/>']);
  publication.stop();
});

// What each answer to a conditional PUBLISH with a body leads to. `next`: what leaves within 29 s.
const table: readonly {
  readonly status: number;
  readonly headers?: HeaderInit;
  readonly state: PublicationState['kind'];
  /** Seconds until the next try, at least and at most. */
  readonly again: readonly [number, number];
  /** SIP-If-Match of that try. */
  readonly tag: 't1' | undefined;
}[] = [
  { status: 401, state: 'refused', again: [900, 1125], tag: 't1' },
  { status: 407, state: 'refused', again: [900, 1125], tag: 't1' },
  { status: 400, state: 'refused', again: [900, 1125], tag: 't1' },
  { status: 403, state: 'refused', again: [900, 1125], tag: 't1' },
  { status: 404, state: 'waiting', again: [30, 38], tag: 't1' },
  { status: 405, state: 'refused', again: [900, 1125], tag: 't1' },
  { status: 408, state: 'waiting', again: [30, 38], tag: 't1' },
  { status: 410, state: 'waiting', again: [30, 38], tag: 't1' },
  { status: 412, state: 'publishing', again: [0, 1], tag: undefined },
  { status: 413, headers: { 'Retry-After': 50 }, state: 'waiting', again: [50, 63], tag: 't1' },
  { status: 423, headers: { 'Min-Expires': 9000 }, state: 'publishing', again: [0, 1], tag: 't1' },
  { status: 423, state: 'waiting', again: [30, 38], tag: 't1' },
  { status: 480, state: 'waiting', again: [30, 38], tag: 't1' },
  { status: 489, state: 'refused', again: [900, 1125], tag: 't1' },
  { status: 500, state: 'publishing', again: [0, 1], tag: undefined },
  { status: 501, state: 'refused', again: [900, 1125], tag: 't1' },
  { status: 503, state: 'waiting', again: [30, 38], tag: 't1' },
  {
    status: 503,
    headers: { 'Retry-After': '70 (maintenance);duration=60' },
    state: 'waiting',
    again: [70, 88],
    tag: 't1',
  },
  { status: 504, state: 'waiting', again: [30, 38], tag: 't1' },
  { status: 603, state: 'refused', again: [900, 1125], tag: 't1' },
];

for (const row of table)
  test(`S6, S18: ${row.status} ${JSON.stringify(row.headers ?? {})} leads to ${row.state}`, async () => {
    const one = await scene();
    one.esc.onRequest = (request) => one.esc.answer(request, 200, { 'SIP-ETag': 't1', Expires: 7200 });
    const publication = one.publication({ expires: 7200, headers: { 'X-Own': 'kept' } });
    publication.changed();
    await one.clock.settle();
    /** Each try once, with its time. */
    const tries: { readonly request: SipRequest; readonly at: number }[] = [];
    one.esc.onRequest = (request) => {
      if (tries.at(-1)?.request.cseq?.number === request.cseq?.number) return;
      tries.push({ request, at: one.clock.now() });
    };
    one.value = 1;
    publication.changed();
    await one.clock.settle();
    one.esc.answer(one.esc.last(), row.status, row.headers);
    await one.clock.settle();
    assert.is(publication.state.kind, row.state);
    const [least, most] = row.again;
    await one.clock.advance(most * 1000 + 600);
    const [first, next] = tries;
    assert.ok(first && next, 'tried again');
    const waited = next.at - first.at;
    assert.ok(waited >= least * 1000 && waited <= most * 1000 + 600, `after ${waited} ms`);
    assert.is(next.request.get('SIP-If-Match'), row.tag);
    assert.is(next.request.text(), '<1/>');
    assert.is(next.request.get('X-Own'), 'kept', 'own headers stay');
    if (row.headers?.['Min-Expires'] !== undefined) assert.is(next.request.expires, 9000);
    publication.stop();
    await one.stack.stop();
    assert.is(one.clock.pending(), 0);
  });

test('S6: silence is a time-out after 32 s and waits 30 s more, then 60, then 120', async () => {
  const one = await scene();
  const firsts: number[] = [];
  const seen = new Set<number>();
  one.esc.onRequest = (request) => {
    const seq = request.cseq?.number ?? 0;
    if (!seen.has(seq)) firsts.push(one.clock.now());
    seen.add(seq);
  };
  const publication = one.publication();
  publication.changed();
  await one.clock.advance(400_000);
  const gaps = firsts.slice(1).map((time, n) => time - (firsts[n] ?? 0));
  assert.ok(gaps.length >= 3);
  for (const [n, gap] of gaps.slice(0, 3).entries()) {
    const wait = 30_000 * 2 ** n;
    assert.ok(gap >= 32_000 + wait && gap <= 33_500 + wait * 1.25, `gap ${n}: ${gap}`);
  }
  publication.stop();
  await one.stack.stop();
});

test('S6: 413 and 415 tell the owner, who offers something else', async () => {
  for (const status of [413, 415]) {
    const one = await scene();
    let type = 'application/pidf-diff+xml';
    const publication = one.publication({
      body: () => ({ contentType: type, content: type, token: type }),
    });
    one.esc.onRequest = (request) =>
      request.contentType?.essence === 'application/pidf+xml'
        ? one.esc.answer(request, 200, { 'SIP-ETag': 't', Expires: 120 })
        : one.esc.answer(request, status, { Accept: ['application/pidf+xml;q=0.5', 'text/plain'] });
    publication.changed();
    await one.clock.advance(100_000);
    assert.is(one.esc.requests().length, 1, 'the same body is not sent again');
    const { state } = publication;
    assert.is(state.kind, 'unsuitable');
    if (state.kind !== 'unsuitable') return;
    assert.is(state.status, status);
    assert.is(state.contentType, 'application/pidf-diff+xml');
    assert.equal(state.accept, ['application/pidf+xml', 'text/plain']);
    type = 'application/pidf+xml';
    publication.changed();
    await one.clock.settle();
    assert.is(publication.state.kind, 'published');
    publication.stop();
  }
});

test('S6: a 423 is followed once; a server that always asks for more is not', async () => {
  const one = await scene();
  let min = 200;
  one.esc.onRequest = (request) => {
    one.esc.answer(request, 423, { 'Min-Expires': min });
    min += 100;
  };
  const publication = one.publication();
  publication.changed();
  await one.clock.advance(20_000);
  assert.equal(
    one.esc.requests().map((request) => request.expires),
    [120, 200],
  );
  assert.is(publication.state.kind, 'waiting');
  publication.stop();
});

// EPA                    ESC
//  |--PUBLISH------------>|
//  |<----401 nonce--------|  new nonce for every request
//  |--PUBLISH + digest--->|
//  |<----200--------------|
test('S17: a nonce that changes with every request costs two tries, never more, and nothing is lost', async () => {
  const one = await scene();
  let nonce = 0;
  let tag = 0;
  one.esc.onRequest = (request) => {
    if ((request.get('Authorization') ?? '').includes(`nonce="n${nonce}"`)) {
      nonce += 1;
      tag += 1;
      one.esc.answer(request, 200, { 'SIP-ETag': `t${tag}`, Expires: 120 });
    } else {
      nonce += 1;
      one.esc.answer(request, 401, {
        'WWW-Authenticate': `Digest realm="r",nonce="n${nonce}",qop="auth"`,
      });
    }
  };
  const credentials = createDigestClient({ random: createFakeRandom(4) }, { username: 'u', password: 'p' });
  const publication = one.publication({ credentials });
  for (let n = 1; n <= 30; n += 1) {
    one.value = n;
    publication.changed();
    await one.clock.advance(1_000);
    assert.is(one.accepted.at(-1)?.token, n);
  }
  assert.is(one.esc.requests().length, 60);
  const seqs = one.esc.requests().map((request) => request.cseq?.number ?? 0);
  assert.ok(
    seqs.every((seq, n) => n === 0 || seq > (seqs[n - 1] ?? 0)),
    'CSeq rises',
  );
  publication.stop();
});

test('S18: a 401 without a challenge is not repeated in a loop', async () => {
  const one = await scene();
  one.esc.onRequest = (request) => one.esc.answer(request, 401);
  const credentials = createDigestClient({ random: createFakeRandom(4) }, { username: 'u', password: 'p' });
  const publication = one.publication({ credentials });
  for (let n = 0; n < 100; n += 1) {
    publication.changed();
    await one.clock.advance(5_000);
  }
  assert.is(one.esc.requests().length, 1);
  assert.is(publication.state.kind, 'refused');
  publication.stop();
});

// EPA                ESC
//  |--PUBLISH t1 2---->|  applied, and
//  |   200 lost        |  every copy of the answer is lost
//  |   32 s + 30 s     |
//  |--PUBLISH t1 2---->|
//  |<----412-----------|
//  |--PUBLISH 2------->|  the same state again, as an initial one
test('a lost 200: the old tag is tried, then one initial publication brings the whole state', async () => {
  const one = await scene();
  one.serve(3600);
  const publication = one.publication({ expires: 3600 });
  publication.changed();
  await one.clock.settle();
  one.esc.onRequest = undefined;
  one.value = 2;
  publication.changed();
  await one.clock.advance(33_000);
  assert.is(publication.state.kind, 'waiting');
  one.esc.onRequest = (request) =>
    request.has('SIP-If-Match')
      ? one.esc.answer(request, 412)
      : one.esc.answer(request, 200, { 'SIP-ETag': 'anew', Expires: 3600 });
  await one.clock.advance(40_000);
  assert.is(publication.tag, 'anew');
  assert.is(one.esc.last().text(), '<2/>');
  assert.is(one.bodies.at(-1)?.kind, 'initial');
  publication.stop();
});

test('one lost refresh does not let 120 s run out', async () => {
  const one = await scene();
  one.serve();
  const publication = one.publication();
  publication.changed();
  await one.clock.advance(40_000);
  // From here on one whole transaction is lost.
  const serve = one.esc.onRequest;
  one.esc.onRequest = undefined;
  await one.clock.advance(35_000 + 6_000);
  one.esc.onRequest = serve;
  await one.clock.advance(36_000);
  assert.ok(one.clock.now() < 120_000);
  assert.is(publication.state.kind, 'published');
  assert.is(one.bodies.length, 1, 'by a refresh, not by a new publication');
  publication.stop();
});

test('withdraw while the initial PUBLISH is in flight removes what it made', async () => {
  const one = await scene();
  const publication = one.publication();
  publication.changed();
  await one.clock.settle();
  let done = false;
  publication.withdraw().then(() => {
    done = true;
  });
  await one.clock.settle();
  one.esc.answer(one.esc.last(), 200, { 'SIP-ETag': 'ghost', Expires: 120 });
  await one.clock.settle();
  assert.is(kindOf(one.esc.last()), 'ghost 0 -');
  assert.is(done, false);
  one.esc.answer(one.esc.last(), 200, { Expires: 0 });
  await one.clock.settle();
  assert.is(done, true);
  assert.is(publication.state.kind, 'idle');
  publication.changed();
  await one.clock.settle();
  assert.is(kindOf(one.esc.last()), '- 120 <0/>', 'usable again');
  publication.stop();
});

test('removal does not wait for a back-off, and gives up after one try', async () => {
  const one = await scene();
  one.serve(3600);
  const publication = one.publication();
  publication.changed();
  await one.clock.settle();
  one.esc.onRequest = (request) => one.esc.answer(request, 503);
  publication.changed();
  await one.clock.settle();
  assert.is(publication.state.kind, 'waiting');
  const removed = publication.remove();
  await one.clock.settle();
  await removed;
  assert.is(kindOf(one.esc.last()), 't1 0 -');
  assert.is(publication.state.kind, 'removed');
  await one.clock.advance(10_000);
  assert.is(one.clock.pending(), 0);
});

test('S8: after removal nothing wakes it again', async () => {
  const one = await scene();
  one.serve();
  const publication = one.publication();
  publication.changed();
  await one.clock.settle();
  const removed = publication.remove();
  await one.clock.settle();
  await removed;
  const before = one.esc.received.length;
  publication.changed();
  publication.wake();
  publication.refresh();
  await publication.remove();
  await one.clock.advance(500_000);
  assert.is(one.esc.received.length, before);
  assert.is(publication.state.kind, 'removed');
});

test('nothing to say is nothing sent', async () => {
  const one = await scene();
  one.serve();
  let say = false;
  const publication = one.publication({
    body: () => (say ? { contentType: 'text/plain', content: 'x', token: 1 } : undefined),
  });
  publication.changed();
  await one.clock.settle();
  assert.is(one.esc.received.length, 0);
  assert.is(publication.state.kind, 'idle');
  say = true;
  publication.changed();
  await one.clock.settle();
  say = false;
  publication.changed();
  await one.clock.settle();
  assert.is(one.esc.received.length, 1);
  await one.clock.advance(50_000);
  assert.is(one.esc.received.length, 2, 'the refresh still comes');
  publication.stop();
});

test('S7: stop or a lost network within any callback neither throws nor leaks', async () => {
  const moments = ['body', 'accepted', 'state', 'sent', 'challenged'] as const;
  for (const moment of moments) {
    const one = await scene();
    const credentials = createDigestClient({ random: createFakeRandom(4) }, { username: 'u', password: 'p' });
    let cuts = 0;
    const cut = (now: (typeof moments)[number]): void => {
      if (now !== moment || cuts > 0) return;
      cuts += 1;
      one.network.cut({ host: '10.0.0.1', port: 5060 });
      if (moment !== 'challenged') publication.stop();
    };
    const publication: Publication = one.publication({
      credentials,
      body: () => {
        cut('body');
        return { contentType: 'text/plain', content: 'x', token: 1 };
      },
      accepted: () => cut('accepted'),
      onState: () => cut('state'),
    });
    one.esc.onRequest = (request) => {
      cut('sent');
      if (request.has('Authorization')) one.esc.answer(request, 200, { 'SIP-ETag': 'x', Expires: 120 });
      else {
        one.esc.answer(request, 401, { 'WWW-Authenticate': 'Digest realm="r",nonce="n",qop="auth"' });
        cut('challenged');
      }
    };
    publication.changed();
    await one.clock.advance(100_000);
    publication.stop();
    assert.is(cuts, 1, moment);
    await one.stack.stop();
    assert.is(one.stack.counts()['transactions.client'], 0);
    assert.is(one.clock.pending(), 0, moment);
    assert.is(one.log.lines.filter((line) => line.level === 'error').length, 0);
  }
});

// lane:  A changed ----> in flight
//        B refresh, C changed, D remove wait:  D, C, B
test('segments share a lane: one in flight, removals before changes before refreshes', async () => {
  const one = await scene();
  const lane: Lane = createLane();
  const segment = (name: string) =>
    one.publication({
      lane,
      headers: { 'X-Segment': name },
      body: () => ({ contentType: 'text/plain', content: name, token: name }),
    });
  const [a, b, c, d] = ['A', 'B', 'C', 'D'].map(segment);
  assert.ok(a && b && c && d);
  one.serve();
  for (const publication of [a, b, c, d]) publication.changed();
  await one.clock.settle();
  assert.is(one.esc.requests().length, 4);
  one.esc.onRequest = undefined;
  a.changed();
  await one.clock.settle();
  b.refresh();
  c.changed();
  d.withdraw();
  await one.clock.settle();
  assert.is(one.esc.requests().length, 5, 'one in flight');
  assert.is(lane.waiting, 3);
  for (let n = 0; n < 4; n += 1) {
    one.esc.answer(one.esc.last(), 200, { 'SIP-ETag': `s${n}`, Expires: one.esc.last().expires ?? 0 });
    await one.clock.settle();
  }
  assert.equal(
    one.esc
      .requests()
      .slice(4)
      .map((request) => request.get('X-Segment')),
    ['A', 'D', 'C', 'B'],
  );
  for (const publication of [a, b, c, d]) publication.stop();
});

test('a segment that waits does not hold up the others', async () => {
  const one = await scene();
  const lane = createLane();
  const bad = one.publication({ lane, headers: { 'X-Segment': 'bad' } });
  const good = one.publication({ lane });
  one.esc.onRequest = (request) =>
    request.has('X-Segment')
      ? one.esc.answer(request, 503)
      : one.esc.answer(request, 200, { 'SIP-ETag': 'g', Expires: 120 });
  bad.changed();
  good.changed();
  await one.clock.settle();
  assert.is(bad.state.kind, 'waiting');
  assert.is(good.state.kind, 'published');
  bad.stop();
  good.stop();
});

test('an owner that writes line breaks is refused, loudly, and nothing leaves', async () => {
  const one = await scene();
  const publication = one.publication({
    body: () => ({ contentType: 'text/plain\r\nX-Injected: yes', content: 'x', token: 1 }),
  });
  publication.changed();
  await one.clock.settle();
  assert.is(one.esc.received.length, 0);
  assert.is(publication.state.kind, 'refused');
  publication.stop();
  assert.is(one.clock.pending(), 0);
});

test('a server that gives no tag is published to anew before the state runs out', async () => {
  const one = await scene();
  one.esc.onRequest = (request) => one.esc.answer(request, 200, { Expires: 120 });
  const publication = one.publication();
  publication.changed();
  await one.clock.settle();
  assert.is(publication.state.kind, 'published');
  await one.clock.advance(50_000);
  assert.equal(one.esc.requests().map(kindOf), ['- 120 <0/>', '- 120 <0/>']);
  publication.stop();
});

test('a server that grants next to no time is not asked in a loop', async () => {
  for (const expires of [0, 1]) {
    const one = await scene();
    let n = 0;
    one.esc.onRequest = (request) => {
      n += 1;
      one.esc.answer(request, 200, { 'SIP-ETag': `t${n}`, Expires: expires });
    };
    const publication = one.publication();
    publication.changed();
    await one.clock.advance(60_000);
    assert.ok(n <= 13, `${n} requests in a minute`);
    publication.stop();
  }
});

test('an owner that throws when told is logged, and the publication goes on', async () => {
  const one = await scene();
  one.serve();
  let throwing = true;
  const publication = one.publication({
    accepted: () => {
      if (throwing) throw new Error('oops');
    },
  });
  publication.changed();
  await one.clock.settle();
  assert.is(one.log.lines.filter((line) => line.level === 'error').length, 1);
  throwing = false;
  one.value = 2;
  publication.changed();
  await one.clock.advance(40_000);
  assert.is(one.esc.last().text(), '<2/>');
  assert.is(publication.state.kind, 'published');
  publication.stop();
});

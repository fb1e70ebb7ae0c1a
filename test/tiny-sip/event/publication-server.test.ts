import {
  createPublicationServer,
  type PublicationServer,
  type PublicationServerOptions,
  type PublicationStore,
  type PublishedDocument,
  type PublishedEntry,
  type Stack,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createFakeRandom } from '../../support/fake-random.ts';
import { suite } from '../../support/harness.ts';
import { createRig, type Peer, type Rig, text } from '../rig.ts';

const test = suite('tiny-sip publication server');

const aor = 'sip:freezer@example.com';
const server = { host: '10.0.0.1', port: 5060 };

interface Scene extends Omit<Rig, 'stack'> {
  readonly stack: Stack;
  readonly epa: Peer;
  readonly esc: PublicationServer;
  /** What the store holds, by tag. */
  readonly held: Map<string, PublishedEntry | PublishedDocument>;
  readonly calls: string[];
  /** Sends a PUBLISH and answers its response. */
  publish(init?: {
    readonly tag?: string;
    readonly expires?: number | string;
    readonly body?: string;
    readonly type?: string;
    readonly event?: string;
    readonly uri?: string;
    readonly headers?: readonly string[];
  }): Promise<{ status: number; tag: string | undefined; header(name: string): string | undefined }>;
}

async function scene(
  options: Partial<PublicationServerOptions> = {},
  hooks: Partial<PublicationStore> = {},
): Promise<Scene> {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1');
  const epa = await rig.peer('10.0.0.9');
  const held = new Map<string, PublishedEntry | PublishedDocument>();
  const calls: string[] = [];
  const store: PublicationStore = {
    publish(document, previous) {
      calls.push(`publish ${previous === undefined ? 'initial' : 'modify'} ${document.body.toString()}`);
      if (previous !== undefined) held.delete(previous);
      held.set(document.tag, document);
      return undefined;
    },
    refresh(entry, previous) {
      calls.push('refresh');
      const old = held.get(previous);
      held.delete(previous);
      if (old !== undefined) held.set(entry.tag, { ...old, ...entry });
      return undefined;
    },
    remove(entry, cause) {
      calls.push(`remove ${cause}`);
      held.delete(entry.tag);
      return undefined;
    },
    ...hooks,
  };
  const esc = createPublicationServer(
    { stack, clock: rig.clock, random: createFakeRandom(3), log: rig.log },
    {
      events: { presence: { accept: ['application/pidf+xml', 'application/pidf-diff+xml'] } },
      expires: { min: 60, max: 600, default: 300 },
      store,
      authorise: ({ request }) =>
        request.uri === aor ? { ok: true, resource: aor } : { ok: false, status: 404 },
      ...options,
    },
  );
  stack.on('PUBLISH', esc.handle);
  let n = 0;
  return {
    ...rig,
    stack,
    epa,
    esc,
    held,
    calls,
    async publish(init = {}) {
      n += 1;
      const before = epa.responses().length;
      const event = init.event ?? 'presence';
      epa.send(
        server,
        text('PUBLISH', init.uri ?? aor, {
          branch: `z9hG4bK${n}`,
          callId: `call-${n}`,
          headers: [
            ...(event === '' ? [] : [`Event: ${event}`]),
            ...(init.expires === undefined ? [] : [`Expires: ${init.expires}`]),
            ...(init.tag === undefined ? [] : [`SIP-If-Match: ${init.tag}`]),
            ...(init.body === undefined || init.type === ''
              ? []
              : [`Content-Type: ${init.type ?? 'application/pidf+xml'}`]),
            ...(init.headers ?? []),
          ],
          ...(init.body !== undefined && { body: init.body }),
        }),
      );
      await rig.clock.settle();
      const response = epa.responses()[before];
      assert.ok(response, 'answered');
      return {
        status: response.status,
        tag: response.get('SIP-ETag'),
        header: (name) => response.all(name).join(', ') || undefined,
      };
    },
  };
}

// EPA                 ESC
//  |--PUBLISH body----->|  200 t1
//  |--PUBLISH t1------->|  200 t2 (refresh)
//  |--PUBLISH t2 body-->|  200 t3
//  |--PUBLISH t3 exp 0->|  200
test('RFC 3903 §6: initial, refresh, modify, remove, each with a new tag', async () => {
  const one = await scene();
  const first = await one.publish({ body: 'one', expires: 120 });
  const second = await one.publish({ tag: first.tag ?? '', expires: 120 });
  const third = await one.publish({ tag: second.tag ?? '', body: 'two', expires: 120 });
  assert.equal(
    [first, second, third].map((one) => one.status),
    [200, 200, 200],
  );
  assert.is(new Set([first.tag, second.tag, third.tag]).size, 3);
  assert.is(first.header('Expires'), '120');
  assert.is(one.held.size, 1);
  assert.is(one.esc.list(aor, 'presence')[0]?.tag, third.tag);
  const last = await one.publish({ tag: third.tag ?? '', expires: 0 });
  assert.is(last.status, 200);
  assert.is(last.header('Expires'), '0');
  assert.equal(one.calls, ['publish initial one', 'refresh', 'publish modify two', 'remove removed']);
  assert.is(one.held.size, 0);
  assert.is(one.esc.counts().publications, 0);
  assert.is(one.esc.counts().resources, 0);
});

test('RFC 3903 §6 step 3: a tag that is old, unknown or expired gets 412; more than one 400', async () => {
  const one = await scene();
  const first = await one.publish({ body: 'one', expires: 60 });
  const second = await one.publish({ tag: first.tag ?? '' });
  assert.is((await one.publish({ tag: first.tag ?? '' })).status, 412, 'old');
  assert.is((await one.publish({ tag: 'unknown', body: 'x' })).status, 412, 'unknown');
  assert.is((await one.publish({ tag: 'a, b' })).status, 400);
  assert.is((await one.publish({ headers: ['SIP-If-Match: a', 'SIP-If-Match: b'] })).status, 400);
  await one.clock.advance(301_000);
  assert.is((await one.publish({ tag: second.tag ?? '' })).status, 412, 'expired');
  assert.is(one.held.size, 0);
  assert.is(one.calls.at(-1), 'remove expired');
});

test('RFC 3903 §6 steps 1 and 2: whose it is and which package come first', async () => {
  const one = await scene();
  assert.is((await one.publish({ uri: 'sip:other@example.com', event: 'nonsense' })).status, 404);
  const bad = await one.publish({ event: 'nonsense', tag: 'x' });
  assert.is(bad.status, 489);
  assert.is(bad.header('Allow-Events'), 'presence');
  assert.is((await one.publish({ event: '' })).status, 489);
  assert.is(
    (await one.publish({ event: 'presence;max-rate=1', body: 'x' })).status,
    200,
    'parameters are no fault',
  );
});

test('RFC 3903 §6 step 4: expiry is taken, defaulted, shortened, or too brief', async () => {
  const one = await scene();
  assert.is((await one.publish({ body: 'a' })).header('Expires'), '300');
  assert.is((await one.publish({ body: 'a', expires: 100 })).header('Expires'), '100');
  assert.is((await one.publish({ body: 'a', expires: 99_999_999_999 })).header('Expires'), '600');
  const brief = await one.publish({ body: 'a', expires: 59 });
  assert.is(brief.status, 423);
  assert.is(brief.header('Min-Expires'), '60');
  // RFC 3261 §10.2.1.1: what is no number counts as an hour.
  assert.is((await one.publish({ body: 'a', expires: 'soon' })).header('Expires'), '600');
  assert.is(one.held.size, 4);
});

test('RFC 3903 §6 step 5: bodies that do not fit', async () => {
  const one = await scene({ bodyBytes: 100 });
  assert.is((await one.publish({})).status, 400, 'neither body nor tag');
  const unknown = await one.publish({ body: 'x', type: 'text/plain' });
  assert.is(unknown.status, 415);
  assert.is(unknown.header('Accept'), 'application/pidf+xml, application/pidf-diff+xml');
  assert.is((await one.publish({ body: 'x', type: '' })).status, 415);
  const packed = await one.publish({ body: 'x', headers: ['Content-Encoding: gzip'] });
  assert.is(packed.status, 415);
  assert.is(packed.header('Accept-Encoding'), 'identity');
  assert.is((await one.publish({ body: 'x'.repeat(101) })).status, 413);
  assert.is((await one.publish({ body: 'x', type: 'application/PIDF+xml;charset=UTF-8' })).status, 200);
  assert.is(one.held.size, 1);
});

test('what expires is told to the store, and no timer stays', async () => {
  const one = await scene();
  for (let n = 0; n < 100; n += 1) await one.publish({ body: `${n}`, expires: 60 + n });
  assert.is(one.esc.counts().publications, 100);
  await one.clock.advance(200_000);
  assert.is(one.esc.counts().publications, 0);
  assert.is(one.esc.counts().expired, 100);
  assert.is(one.held.size, 0);
  assert.is(one.clock.pending(), 0);
});

test('bounds: 503 with Retry-After, and the modification of what is there still passes', async () => {
  const one = await scene({ perResource: 2 });
  const first = await one.publish({ body: 'a' });
  await one.publish({ body: 'b' });
  const third = await one.publish({ body: 'c' });
  assert.is(third.status, 503);
  assert.ok(third.header('Retry-After'));
  assert.is((await one.publish({ tag: first.tag ?? '', body: 'd' })).status, 200);
});

test('a store that refuses, throws or rejects changes nothing', async () => {
  let mood: 'refuse' | 'throw' | 'reject' | undefined;
  const one = await scene(
    {},
    {
      publish() {
        if (mood === 'refuse')
          return { status: 400, reason: 'Bad Diff', body: '<e/>', contentType: 'text/xml' };
        if (mood === 'throw') throw new Error('no space');
        if (mood === 'reject') return Promise.reject(new Error('no space'));
        return undefined;
      },
    },
  );
  const first = await one.publish({ body: 'a' });
  for (const [next, status] of [
    ['refuse', 400],
    ['throw', 500],
    ['reject', 500],
  ] as const) {
    mood = next;
    assert.is((await one.publish({ tag: first.tag ?? '', body: 'b' })).status, status, next);
  }
  mood = undefined;
  assert.is((await one.publish({ tag: first.tag ?? '', body: 'c' })).status, 200, 'the tag still stands');
});

// EPA 1: PUBLISH t1 body ---- store is slow ----> 200 t2
// EPA 2: PUBLISH t1 body ---- waits -----------------------> 412
test('PUBLISHes of one resource are taken one after the other, also over a slow store', async () => {
  let free: (() => void) | undefined;
  const one = await scene(
    {},
    {
      publish: () =>
        new Promise((resolve) => {
          free = () => resolve(undefined);
        }),
    },
  );
  one.epa.send(
    server,
    text('PUBLISH', aor, {
      branch: 'z9hG4bKa',
      callId: 'a',
      headers: ['Event: presence', 'Content-Type: application/pidf+xml'],
      body: 'a',
    }),
  );
  await one.clock.settle();
  free?.();
  await one.clock.settle();
  const tag = one.epa.responses(200)[0]?.get('SIP-ETag') ?? '';
  for (const name of ['b', 'c'])
    one.epa.send(
      server,
      text('PUBLISH', aor, {
        branch: `z9hG4bK${name}`,
        callId: name,
        headers: ['Event: presence', `SIP-If-Match: ${tag}`, 'Content-Type: application/pidf+xml'],
        body: name,
      }),
    );
  await one.clock.settle();
  assert.is(one.epa.responses().length, 1);
  free?.();
  await one.clock.settle();
  assert.equal(
    one.epa.responses().map((response) => [response.status, response.callId]),
    [
      [200, 'a'],
      [200, 'b'],
      [412, 'c'],
    ],
  );
});

test('a retransmitted PUBLISH is stored once', async () => {
  const one = await scene();
  const request = text('PUBLISH', aor, {
    headers: ['Event: presence', 'Content-Type: application/pidf+xml'],
    body: 'a',
  });
  for (let n = 0; n < 3; n += 1) one.epa.send(server, request);
  await one.clock.settle();
  for (let n = 0; n < 3; n += 1) one.epa.send(server, request);
  await one.clock.settle();
  assert.is(one.held.size, 1);
  assert.is(new Set(one.epa.responses(200).map((response) => response.get('SIP-ETag'))).size, 1);
});

test('a restart takes back what the store kept, and expires what is past', async () => {
  const one = await scene();
  await one.clock.advance(10_000);
  one.esc.restore([
    { resource: aor, event: 'presence', tag: 'kept', expiresAt: 70_000 },
    { resource: aor, event: 'presence', tag: 'past', expiresAt: 5_000 },
  ]);
  await one.clock.advance(600);
  assert.equal(one.calls, ['remove expired']);
  assert.is((await one.publish({ tag: 'kept', body: 'x', expires: 60 })).status, 200);
  one.esc.stop();
  await one.clock.advance(40_000);
  assert.is(one.clock.pending(), 0);
});

test('authorisation may challenge, fail, or take its time', async () => {
  const one = await scene({
    authorise: async ({ request }) => {
      if (request.uri.startsWith('sip:bad')) throw new Error('no directory');
      return { ok: false, status: 401, headers: { 'WWW-Authenticate': 'Digest realm="r",nonce="n"' } };
    },
  });
  const challenged = await one.publish({ body: 'x' });
  assert.is(challenged.status, 401);
  assert.match(challenged.header('WWW-Authenticate') ?? '', /^Digest/);
  assert.is((await one.publish({ uri: 'sip:bad@example.com' })).status, 500);
});

/** Whatever is published, lost, repeated and overtaken: a watcher at rest sees what is true. */
import fc from 'fast-check';
import type { SipResponse } from 'tiny-sip';
import * as assert from 'uvu/assert';
import { suite } from '../support/harness.ts';
import { createLab, noteDiff, PIDF_DIFF, pidf } from './lab.ts';

const test = suite('edge truth', { timeout: 60_000 });

const GW = 'sip:gw@test.local';
const LINGER = 300_000;

/** How far off the model's times may be: a PUBLISH whose answers were lost was taken up to so much earlier. */
const FUZZ = 40_000;

interface Segment {
  tag: string;
  notes: Map<string, string>;
  order: number;
  expiresAt: number;
}

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ what: fc.constant('publish' as const), ids: ids(), expires: expiries() }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constant('modify' as const),
      which: fc.nat(9),
      ids: ids(),
      expires: expiries(),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ what: fc.constant('diff' as const), which: fc.nat(9), expires: expiries() }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ what: fc.constant('refresh' as const), which: fc.nat(9), expires: expiries() }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('remove' as const), which: fc.nat(9) }) },
  {
    weight: 2,
    arbitrary: fc.record({ what: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 90_000 }) }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('crash' as const) }) },
);

type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;

function ids() {
  return fc.subarray(['a', 'b', 'c'], { minLength: 1 });
}

function expiries() {
  return fc.constantFrom(60, 90, 600, 3_600);
}

/** Loses, repeats and delays packets, the same way for the same seed. */
function weather(seed: number, calm: () => boolean): () => number[] {
  let state = seed | 1;
  const next = (): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state / 0x7fffffff;
  };
  return () => {
    if (calm()) return [0];
    const chance = next();
    if (chance < 0.15) return [];
    if (chance < 0.3) return [0, next() * 900];
    return [next() * 300];
  };
}

async function run(seed: number, steps: readonly Step[]): Promise<void> {
  let calm = true;
  const lab = await createLab({
    fate: weather(seed, () => calm),
    options: { linger: LINGER, publication: { min: 10_000 } },
  });
  const { clock } = lab;
  const gw = await lab.phone('gw');
  const alice = await lab.phone('alice');
  await alice.subscribe(GW, { Expires: 3_600 });
  await clock.settle();

  const segments: Segment[] = [];
  const closed = new Map<string, { from: number; until: number }>();
  let order = 0;
  let value = 0;

  const speaker = (id: string): Segment | undefined =>
    segments.filter((one) => one.notes.has(id)).sort((x, y) => y.order - x.order)[0];
  // When what was hidden behind an expired segment came to light again.
  const moments: number[] = [];
  const expire = (segment: Segment, at: number): void => {
    moments.push(at);
    segments.splice(segments.indexOf(segment), 1);
    for (const id of segment.notes.keys()) if (!speaker(id)) closed.set(id, { from: at, until: at + LINGER });
  };
  const passTime = (): void => {
    for (const segment of [...segments].sort((x, y) => x.expiresAt - y.expiresAt))
      if (segment.expiresAt <= clock.now()) expire(segment, segment.expiresAt);
    for (const [id, { until }] of closed) if (until <= clock.now()) closed.delete(id);
  };
  const ask = async (
    body: string | undefined,
    expires: number,
    segment?: Segment,
    type?: string,
  ): Promise<SipResponse | undefined> => {
    const pending = gw.outcome('PUBLISH', {
      uri: GW,
      headers: {
        Event: 'presence',
        Expires: expires,
        'SIP-If-Match': segment?.tag,
        ...(body !== undefined && { 'Content-Type': type ?? 'application/pidf+xml' }),
      },
      ...(body !== undefined && { body }),
    });
    let done = false;
    void pending.then(() => {
      done = true;
    });
    for (let n = 0; n < 200 && !done; n += 1) await clock.advance(500);
    const outcome = await pending;
    passTime();
    return outcome.kind === 'response' ? outcome.response : undefined;
  };

  calm = false;
  for (const one of steps) {
    if (one.what === 'wait') {
      await clock.advance(one.ms);
      passTime();
      continue;
    }
    if (one.what === 'crash') {
      // What was in the air is lost with the process; nothing that was answered is.
      calm = true;
      await clock.advance(5_000);
      await lab.crash();
      calm = false;
      continue;
    }
    const segment = 'which' in one ? segments[one.which % Math.max(1, segments.length)] : undefined;
    if ('which' in one && !segment) continue;
    const notes = new Map(
      'ids' in one ? one.ids.map((id) => [id, `v${++value}`]) : [...(segment?.notes ?? [])],
    );
    const expires = one.what === 'remove' ? 0 : one.expires;
    let answer: SipResponse | undefined;
    if (one.what === 'diff') {
      const [id] = [...notes.keys()];
      if (id === undefined) continue;
      notes.set(id, `v${++value}`);
      answer = await ask(noteDiff(id, notes.get(id) ?? ''), expires, segment, PIDF_DIFF);
    } else if (one.what === 'publish' || one.what === 'modify')
      answer = await ask(pidf(Object.fromEntries(notes)), expires, segment);
    else answer = await ask(undefined, expires, segment);

    // No answer in 32 s of such weather: what the truth is now, nobody can know.
    if (!answer) break;
    if (answer.status === 412 && segment) {
      // It ran out a little before the model thought it would; nothing else may lose a publication.
      assert.ok(segment.expiresAt - clock.now() < FUZZ, 'a live publication was forgotten');
      if (segments.includes(segment)) expire(segment, clock.now());
      continue;
    }
    assert.is(answer.status, 200, `${one.what}: ${answer.status} ${answer.reason}`);
    if (one.what === 'remove' && segment) {
      segments.splice(segments.indexOf(segment), 1);
      continue;
    }
    const known = segment && segments.indexOf(segment);
    if (known !== undefined && known >= 0) segments.splice(known, 1);
    const next: Segment = {
      tag: answer.get('SIP-ETag') ?? '',
      notes,
      order: one.what === 'refresh' && segment ? segment.order : ++order,
      expiresAt: clock.now() + (answer.expires ?? 0) * 1_000,
    };
    segments.push(next);
    if (one.what !== 'refresh') for (const id of notes.keys()) closed.delete(id);
  }

  // At rest: fair weather, and nothing that the model may have timed wrongly.
  calm = true;
  const restless = (): boolean =>
    [
      ...moments,
      ...segments.map((one) => one.expiresAt),
      ...[...closed.values()].flatMap((one) => [one.from, one.until]),
    ].some((at) => Math.abs(at - clock.now()) < FUZZ);
  do {
    await clock.advance(20_000);
    passTime();
  } while (restless());

  const truth = [...new Set([...segments.flatMap((one) => [...one.notes.keys()]), ...closed.keys()])]
    .map((id) => (speaker(id) ? `${id}: open ${speaker(id)?.notes.get(id)}` : `${id}: closed`))
    .sort();
  const expected = truth.length > 0 ? truth : ['offline: closed'];
  const seen = alice.notified.filter((one) => one.request.body.length > 0).at(-1)?.tuples;
  const before = alice.notified.length;
  await alice.subscribe(GW, { Expires: 0 });
  await clock.settle();
  assert.ok(alice.notified.length > before);
  assert.equal(alice.notified.at(-1)?.tuples, expected, 'what is fetched');
  assert.equal(seen, expected, 'what was notified');

  for (let n = 0; n < 8; n += 1) await clock.advance(600_000);
  const counts = lab.edge.counts();
  assert.is(counts['publication.publications'], 0);
  assert.is(counts['publication.bytes'], 0);
  assert.is(counts['subscription.subscriptions'], 0);
  await lab.close();
}

test('random publications, segments, diffs, expiries and crashes in bad weather', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), fc.array(step, { minLength: 10, maxLength: 30, size: 'max' }), run),
    {
      numRuns: 60,
      interruptAfterTimeLimit: 40_000,
    },
  );
});

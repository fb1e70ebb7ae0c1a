import * as assert from 'uvu/assert';
import { createServerHealth, type RankedTarget } from '../../../src/tiny-sip/resolve/health.ts';
import { createLocator } from '../../../src/tiny-sip/resolve/resolve.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { createFakeRandom } from '../../support/fake-random.ts';
import { suite } from '../../support/harness.ts';
import { silent } from '../transport/recorder.ts';
import { createMockDns } from './mock-dns.ts';

const test = suite('servers that failed or worked');

const at = (host: string, rank = 0): RankedTarget => ({
  protocol: 'udp',
  host,
  port: 5060,
  name: 'example.com',
  rank,
});

function setUp(options = {}) {
  const clock = createFakeClock();
  const health = createServerHealth(clock, options);
  const order = (...targets: RankedTarget[]): string =>
    health
      .arrange(targets)
      .map((one) => one.host)
      .join(' ');
  return { clock, health, order };
}

test('S31: a server that failed goes to the end of the list, not out of it, and returns after its time', async () => {
  const { clock, health, order } = setUp();
  const list = [at('a', 0), at('b', 1), at('c', 2)];
  assert.is(order(...list), 'a b c');
  health.report(at('a'), { kind: 'failed' });
  assert.is(order(...list), 'b c a');
  health.report(at('b'), { kind: 'failed' });
  assert.is(order(...list), 'c a b', 'of the dead the one that is due first');
  await clock.advance(29_999);
  assert.is(order(...list), 'c a b');
  await clock.advance(1);
  assert.is(order(...list), 'a b c');
  assert.equal(health.counts(), { dead: 0, failing: 2, favoured: 0 });
});

test('S31: each further failure doubles the time, up to ten minutes; success wipes it out', async () => {
  const { clock, health, order } = setUp();
  const list = [at('a', 0), at('b', 1)];
  for (const seconds of [30, 60, 120, 240, 480, 600, 600]) {
    health.report(at('a'), { kind: 'failed' });
    await clock.advance(seconds * 1_000 - 1);
    assert.is(order(...list), 'b a', `${seconds}`);
    await clock.advance(1);
    assert.is(order(...list), 'a b', `${seconds}`);
  }
  health.report(at('a'), { kind: 'worked' });
  health.report(at('a'), { kind: 'failed' });
  await clock.advance(30_000);
  assert.is(order(...list), 'a b');
  await clock.advance(3_600_000);
  health.report(at('a'), { kind: 'failed' });
  await clock.advance(30_000);
  assert.is(order(...list), 'a b', 'a failure long ago says nothing about this one');
});

test('S31: the one that worked stays first among its equals; a better one takes over when it is back', async () => {
  const { clock, health, order } = setUp();
  const list = [at('main', 0), at('one', 1), at('two', 1)];
  health.report(at('main'), { kind: 'failed' });
  assert.is(order(...list), 'one two main');
  health.report(at('two'), { kind: 'worked' });
  assert.is(order(...list), 'two one main');
  assert.is(order(at('main', 0), at('two', 1), at('one', 1)), 'two one main');
  await clock.advance(30_000);
  assert.is(order(...list), 'main two one', 'priority counts more than habit');
  health.report(at('two'), { kind: 'failed' });
  await clock.advance(30_000);
  assert.is(order(...list), 'main one two', 'and whoever failed is nobody’s favourite');
});

test('Retry-After of a 503 is honoured in place of the own time, up to an hour', async () => {
  const { clock, health, order } = setUp();
  const list = [at('a', 0), at('b', 1)];
  for (const [asked, kept] of [
    [300, 300],
    [5, 5],
    [0, 0],
    [999_999_999, 3_600],
  ] as const) {
    health.report(at('a'), { kind: 'failed', seconds: asked });
    if (kept > 0) {
      await clock.advance(kept * 1_000 - 1);
      assert.is(order(...list), 'b a', `${asked}`);
      await clock.advance(1);
    }
    assert.is(order(...list), 'a b', `${asked}`);
  }
});

test('the tables are bounded, and what they hold is counted', () => {
  const { health } = setUp({ servers: 10 });
  for (let n = 0; n < 100; n += 1) {
    health.report(at(`h${n}`), { kind: 'failed' });
    health.report({ ...at(`h${n}`), port: 1, name: `d${n}` }, { kind: 'worked' });
  }
  assert.equal(health.counts(), { dead: 10, failing: 10, favoured: 10 });
});

test('without affinity each request draws anew', () => {
  const { health, order } = setUp({ affinity: false });
  health.report(at('b'), { kind: 'worked' });
  assert.is(order(at('a'), at('b')), 'a b');
});

test('S31: a locator keeps to the server of equal weight that worked, while it lives', async () => {
  const clock = createFakeClock();
  const dns = createMockDns();
  dns.srv(
    '_sip._udp.example.com',
    { name: 'a', priority: 1, weight: 10 },
    { name: 'b', priority: 1, weight: 10 },
    { name: 'c', priority: 1, weight: 10 },
  );
  for (const [n, name] of ['a', 'b', 'c'].entries()) dns.a(name, `192.0.2.${n}`);
  const locator = createLocator({
    clock,
    random: createFakeRandom(),
    log: silent,
    dns: () => dns.create(),
  });
  const first = async () =>
    (await locator.locate('sip:example.com;transport=udp', { protocols: ['udp'] }))[0];
  const firsts = new Set<string>();
  for (let n = 0; n < 50; n += 1) firsts.add((await first())?.host ?? '');
  assert.is(firsts.size, 3, 'before anything is known the weights decide');
  const chosen = await first();
  if (chosen === undefined) throw new Error('nothing was located');
  locator.report?.(chosen, { kind: 'worked' });
  for (let n = 0; n < 50; n += 1) assert.equal(await first(), chosen);
  assert.is(locator.counts().favoured, 1);
  locator.report?.(chosen, { kind: 'failed' });
  assert.is(locator.counts().dead, 1);
  for (let n = 0; n < 50; n += 1) assert.not.equal(await first(), chosen);
});

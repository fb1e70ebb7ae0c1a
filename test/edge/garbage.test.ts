/** Requests that were mangled on the way, or made to do harm. */
import fc from 'fast-check';
import * as assert from 'uvu/assert';
import type { Log } from '../../src/base/log.ts';
import { suite } from '../support/harness.ts';
import { createLab, dialogOf, noteDiff, PIDF_DIFF, pidf } from './lab.ts';

const test = suite('edge garbage', { timeout: 60_000 });

const GW = 'sip:gw@test.local';

/** What stands in for a piece of a message. */
const PIECES = [
  '',
  '*',
  '<',
  '>',
  ';',
  '"',
  ',',
  '\r\n',
  '\0',
  '%00',
  '-1',
  '99999999999999999999',
  'sip:',
  'sip:@',
  'sip:gw@test.local',
  'sips:gw@test.local',
  'tel:1',
  '<sip:gw@test.local;lr>',
  'Contact: *\r\n',
  'Route: <sip:evil.example;lr>\r\n',
  'Expires: 0\r\n',
  'P-Asserted-Identity: <sip:alice@test.local>\r\n',
  'é\u0080',
  '&#0;',
  '<!DOCTYPE a>',
];

const change = fc.record({
  which: fc.nat(),
  // Anywhere alike: fast-check likes the ends, and a message with a broken first line gets nowhere.
  at: fc.noBias(fc.integer({ min: 0, max: 9_999 })).map((n) => n / 10_000),
  length: fc.nat(8),
  piece: fc.constantFrom(...PIECES),
});

async function mangle(trusted: boolean): Promise<void> {
  const errors: string[] = [];
  const log: Log = {
    debug: () => {},
    info: () => {},
    warn: () => {},
    error: (text, fields) => {
      const line = `${text} ${JSON.stringify(fields)} ${fields?.cause}`;
      // A header that only turns out malformed when somebody looks at it is what this test sends.
      if (!line.includes('SipSyntaxError')) errors.push(line);
    },
    child: () => log,
  };
  const protocol = trusted ? 'memory' : 'udp';
  const lab = await createLab({
    protocol,
    deps: { log },
    options: trusted
      ? { localUser: 'gw', users: { alice: 'a', gw: { password: 'g', aors: ['sip:alice@test.local'] } } }
      : {},
  });
  const gw = await lab.phone('gw');
  const alice = await lab.phone('alice');
  const eve = await lab.phone('eve');
  const recorded: string[] = [];
  for (const phone of [gw, alice])
    phone.stack.onTrace((direction, _flow, message, bytes) => {
      if (direction === 'out' && message.kind === 'request') recorded.push(bytes.toString('latin1'));
    });
  await gw.register({ Supported: 'path, outbound' });
  const one = await gw.publish(pidf({ door: 'shut' }));
  await gw.publish(noteDiff('door', 'open'), {
    'Content-Type': PIDF_DIFF,
    'SIP-If-Match': one.get('SIP-ETag'),
  });
  const dialog = dialogOf(await alice.subscribe(GW));
  await alice.subscribe(GW, {}, dialog);
  await alice.request('MESSAGE', { uri: GW, headers: { 'Content-Type': 'text/plain' }, body: 'status' });
  await gw.request('OPTIONS', { uri: GW });
  const requests = [...recorded];
  const flow = eve.stack.flow({ protocol, host: '192.0.2.1', port: 5060, name: '' });
  const bindings = lab.edge.counts().bindings;

  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(change, { minLength: 1, maxLength: 2 }), { minLength: 20, maxLength: 20 }),
      async (all) => {
        errors.length = 0;
        for (const changes of all) {
          let text = requests[(changes[0]?.which ?? 0) % requests.length] ?? '';
          for (const { at, length, piece } of changes) {
            const from = Math.floor(at * text.length);
            text = text.slice(0, from) + piece + text.slice(from + length);
          }
          // A transaction of its own, so that it is looked at.
          text = text.replace(
            /branch=z9hG4bK/,
            `branch=z9hG4bK${Math.floor(lab.clock.now())}x${text.length}`,
          );
          // Where length and body disagree nothing else is looked at.
          if (trusted) text = withLength(text);
          await flow.send(Buffer.from(text, 'latin1'));
        }
        await lab.clock.advance(100);
        assert.is(errors.join('\n'), '', errors.join('\n'));
      },
    ),
    { numRuns: 60, endOnFailure: true, includeErrorInReport: true },
  );

  if (!trusted) {
    // Old credentials are good for nothing, so nothing came of it.
    const counts = lab.edge.counts();
    assert.is(counts.bindings, bindings);
    assert.is(counts['publication.publications'], 1);
    assert.is(counts['subscription.subscriptions'], 1);
    assert.is(gw.received.filter((message) => message.method === 'MESSAGE').length, 1);
    await lab.clock.advance(6_000);
    assert.is((await gw.publish(pidf({ lamp: 'on' }))).status, 200);
    await lab.clock.settle();
    assert.equal(alice.notified.at(-1)?.tuples, ['door: open open', 'lamp: open on']);
  }
  // Enough of it was sound enough to get that far.
  if (trusted)
    assert.ok((lab.edge.counts()['publication.published'] ?? 0) > 5, JSON.stringify(lab.edge.counts()));
  // Whatever was taken in is gone in the end, and the edge works as on the first day.
  for (let n = 0; n < 8; n += 1) await lab.clock.advance(600_000);
  assert.is(errors.join('\n'), '', errors.join('\n'));
  const counts = lab.edge.counts();
  for (const name of [
    'bindings',
    'publication.publications',
    'publication.bytes',
    'subscription.subscriptions',
  ])
    assert.is(counts[name], 0, name);
  for (const name of ['sip.transactions.server', 'sip.transactions.client', 'sip.dialogs'])
    assert.is(counts[name], 0, name);
  assert.is((await gw.publish(pidf({ lamp: 'on' }))).status, 200);
  await lab.close();
}

test('S42: mangled requests get an answer or none, break nothing and open nothing', () => mangle(false));

test('S42: neither do they break anything where they are believed', () => mangle(true));

function withLength(text: string): string {
  const end = text.indexOf('\r\n\r\n');
  return end < 0 ? text : text.replace(/Content-Length: *\d+/, `Content-Length: ${text.length - end - 4}`);
}

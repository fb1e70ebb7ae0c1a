/** Every message of RFC 4475 and RFC 5118 sent to a running user agent by UDP and TCP, on real sockets. */
import { createHash } from 'node:crypto';
import { createStack, type Incoming, type Stack } from 'tiny-sip';
import * as assert from 'uvu/assert';
import { parseMessage } from '../../../src/tiny-sip/message/parse.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';
import { createFakeRandom } from '../../support/fake-random.ts';
import { suite } from '../../support/harness.ts';
import { createQuietLog, type QuietLog } from '../rig.ts';
import { createDoor, type Door, type Heard } from './exchange.ts';
import { type Expected, mended, rfc4475, rfc5118, type Verdict } from './expected.ts';
import { readTorture } from './read.ts';

const test = suite('torture');

interface Server {
  readonly stack: Stack;
  readonly door: Door;
  readonly clock: FakeClock;
  readonly log: QuietLog;
}

/** A user agent that takes calls with SDP and messages of any kind, and is no registrar. */
async function createUserAgent(): Promise<Server> {
  const clock = createFakeClock();
  const log = createQuietLog();
  const door = createDoor({ clock, log });
  const stack = createStack({ clock, log, random: createFakeRandom(75) }, { transports: door.transports });
  stack.on('INVITE', call);
  stack.on('MESSAGE', (incoming) => incoming.respond(200));
  await stack.start();
  return { stack, door, clock, log };
}

/** RFC 3261 §13.3.1 with §8.2.3: the body must be SDP, and so must be what the caller takes. */
function call(incoming: Incoming): void {
  const { request } = incoming;
  const accepts = request.all('Accept');
  if (request.contentType !== undefined && request.contentType.essence !== 'application/sdp')
    incoming.respond(415, { headers: { Accept: 'application/sdp' } });
  else if (accepts.length > 0 && !accepts.some((one) => one.startsWith('application/sdp')))
    incoming.respond(406, { headers: { Warning: '399 ua "no SDP, no call"' } });
  else incoming.respond(200, { headers: { Contact: '<sip:ua@127.0.0.1>' } });
}

/** Where the answer has to go by UDP: nothing is known of a request without a Via that can be read. */
function portOf(bytes: Buffer): number | undefined {
  const parsed = parseMessage(bytes);
  const request = parsed.ok ? parsed.message : parsed.partial;
  try {
    const via = request?.topVia;
    return via === undefined || via.rport !== undefined ? undefined : (via.port ?? 5060);
  } catch {
    return undefined;
  }
}

function judge(heard: Heard, expected: Expected): void {
  const statuses = heard.answers.map((one) => one.status);
  if (expected.kind === 'answer') {
    assert.equal(statuses.slice(1), expected.behind ?? [], 'answered once');
    assert.ok(expected.statuses.includes(statuses[0] ?? 0), `${statuses[0]} is none of ${expected.statuses}`);
    assert.is(statuses[0], expected.statuses[0], 'this stack’s own choice');
    assert.is(heard.closed, expected.closes === true, 'closed');
  } else {
    assert.equal(statuses, []);
    assert.is(heard.closed, false, 'closed');
  }
  assert.is(heard.probe.status, 200, 'the OPTIONS behind it');
}

async function exchange(bytes: Buffer, protocol: 'udp' | 'tcp', expected: Expected): Promise<void> {
  const server = await createUserAgent();
  const { door, clock, stack, log } = server;
  try {
    if (expected.kind === 'waits') {
      const said = await door.unfinished(bytes, () => clock.advance(40_000));
      assert.is(said, '', 'nothing is said to a message whose rest does not come');
      assert.is((await door.tcp(Buffer.alloc(0))).probe.status, 200);
    } else {
      const heard = await door[protocol](bytes);
      judge(heard, expected);
      const port = portOf(bytes);
      if (port !== undefined) for (const one of heard.ports) assert.is(one, port);
    }
    assert.equal(
      log.lines.filter((line) => line.level === 'error'),
      [],
    );
  } finally {
    await stack.stop();
  }
}

for (const [file, verdicts, count] of [
  ['rfc4475.txt', rfc4475, 49],
  ['rfc5118.txt', rfc5118, 12],
] as const) {
  const messages = readTorture(file);

  test(`${file}: ${count} messages, byte for byte those of the archive, each with a verdict`, () => {
    assert.is(messages.length, count);
    for (const { name, bytes, sha256 } of messages)
      assert.is(createHash('sha256').update(bytes).digest('hex'), sha256, name);
    assert.equal(Object.keys(verdicts).sort(), messages.map((one) => one.name).sort());
  });

  for (const { name, section, bytes } of messages) {
    const verdict = verdicts[name] as Verdict;
    for (const protocol of ['udp', 'tcp'] as const) {
      test(`${file} §${section} ${name} by ${protocol}`, () =>
        exchange(mended(bytes, verdict), protocol, verdict[protocol]));
      const raw = verdict.raw?.[protocol];
      if (raw !== undefined)
        test(`${file} §${section} ${name} by ${protocol}, with the bytes of the archive`, () =>
          exchange(bytes, protocol, raw));
    }
  }
}

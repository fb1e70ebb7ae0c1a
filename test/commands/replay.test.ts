import * as assert from 'uvu/assert';
import { silentLog } from '../../src/base/log.ts';
import { createReplayGuard, type ReplayGuard, type ReplayOptions } from '../../src/commands/replay.ts';
import { createFakeFiles, type FakeFiles } from '../support/fake-files.ts';
import { suite } from '../support/harness.ts';

const test = suite('replay guard');
const path = '/var/lib/presentity/commands.journal';
const alice = 'sip:alice@example.com';
const one = { callId: 'a@b', cseq: 1, fromTag: 't' };

async function open(files: FakeFiles, options: Partial<ReplayOptions> = {}): Promise<ReplayGuard> {
  const guard = createReplayGuard({ files, log: silentLog }, { path, ...options });
  await guard.open();
  return guard;
}

test('S36: Call-ID, CSeq and From tag together make a message', async () => {
  const guard = await open(createFakeFiles());
  await guard.claim(alice, one);
  assert.is(guard.claim(alice, one), 'seen');
  assert.not.equal(guard.claim(alice, { ...one, cseq: 2 }), 'seen');
  assert.not.equal(guard.claim(alice, { ...one, fromTag: 'u' }), 'seen');
  assert.not.equal(guard.claim(alice, { ...one, callId: 'c@b' }), 'seen');
});

test('S36: the same imdn.Message-ID is the same message, whatever carries it', async () => {
  const guard = await open(createFakeFiles());
  await guard.claim(alice, { ...one, messageId: 'm1' });
  assert.is(guard.claim(alice, { callId: 'other', cseq: 9, fromTag: 'x', messageId: 'm1' }), 'seen');
  // The message id is the sender's own: another may choose the same.
  assert.not.equal(
    guard.claim('sip:bob@example.com', { callId: 'o2', cseq: 9, fromTag: 'x', messageId: 'm1' }),
    'seen',
  );
});

test('G22: S36: what was taken is known after a kill', async () => {
  const files = createFakeFiles();
  const first = await open(files);
  await first.claim(alice, one);
  const second = await open(files);
  assert.is(second.claim(alice, one), 'seen');
  assert.is(second.counts().keys, 1);
});

test('a copy that comes while the first is being written is seen', async () => {
  const guard = await open(createFakeFiles());
  const first = guard.claim(alice, one);
  assert.is(guard.claim(alice, one), 'seen');
  await first;
});

test('G34: a full disk is told, at every step, and a message once told is known later', async () => {
  for (let step = 0; step < 8; step += 1) {
    const files = createFakeFiles();
    const guard = await open(files);
    files.dieAt(step);
    let told = true;
    try {
      await guard.claim(alice, one);
    } catch {
      told = false;
    }
    const after = createFakeFiles(Object.fromEntries([...files.content].map(([p, b]) => [p, b.toString()])));
    const again = await open(after);
    if (told) assert.is(again.claim(alice, one), 'seen', `step ${step}`);
    else assert.is(guard.claim(alice, one), 'seen', `step ${step}: not tried twice in one life`);
  }
});

test('the window is bounded for each sender, so that one cannot push out another', async () => {
  const files = createFakeFiles();
  const guard = await open(files, { perSender: 10, senders: 3, maxBytes: 2_000 });
  await guard.claim(alice, one);
  for (let cseq = 0; cseq < 100; cseq += 1) await guard.claim('sip:bob@a.org', { ...one, cseq });
  assert.is(guard.claim(alice, one), 'seen');
  assert.is(guard.counts().keys, 11);
  for (const name of ['c', 'd', 'e', 'f']) await guard.claim(`sip:${name}@a.org`, one);
  assert.is(guard.counts().senders, 3);
  assert.ok((files.content.get(path)?.length ?? 0) <= 4_000);
  const again = await open(files, { perSender: 10, senders: 3 });
  assert.is(again.claim('sip:f@a.org', one), 'seen');
});

test('a damaged journal does no harm', async () => {
  const files = createFakeFiles({ [path]: 'null\n{"s":1}\n[]\n{"s":"x","k":' });
  const guard = await open(files);
  await guard.claim(alice, one);
  assert.is((await open(files)).claim(alice, one), 'seen');
});

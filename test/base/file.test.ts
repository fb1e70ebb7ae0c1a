import * as assert from 'uvu/assert';
import { writeFileAtomic } from '../../src/base/file.ts';
import { createFakeFiles } from '../support/fake-files.ts';
import { suite } from '../support/harness.ts';

const test = suite('atomic file');

test('replaces the whole content', async () => {
  const files = createFakeFiles({ '/etc/a': 'old' });
  await writeFileAtomic(files, '/etc/a', 'new');
  assert.is(files.content.get('/etc/a')?.toString(), 'new');
  assert.equal([...files.content.keys()], ['/etc/a']);
});

for (const how of ['failAt', 'dieAt'] as const) {
  test(`G34: ${how === 'failAt' ? 'a full disk' : 'a power cut'} at any step leaves the old file or the new one, whole`, async () => {
    const seen = new Set<string>();
    for (let at = 0; at < 12; at += 1) {
      const files = createFakeFiles({ '/etc/a': 'the old one' });
      files[how](at);
      const error = await writeFileAtomic(files, '/etc/a', 'the new one').then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      const text = files.content.get('/etc/a')?.toString() ?? 'nothing';
      assert.ok(text === 'the old one' || text === 'the new one', `step ${at}: ${text}`);
      if (error) seen.add(text);
    }
    assert.ok(seen.has('the old one'), 'some step failed before the new file took its place');
  });
}

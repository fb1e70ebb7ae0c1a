import type { Files } from '../../src/base/file.ts';
import { createFakeFiles } from '../support/fake-files.ts';

/** Files in memory, some of them with permission bits of their own; the others have 0640. */
export function memoryFiles(content: Record<string, string>, modes: Record<string, number> = {}): Files {
  const files = createFakeFiles(content);
  return {
    ...files,
    async stat(path) {
      const stat = await files.stat(path);
      return stat && { ...stat, mode: modes[path] ?? stat.mode };
    },
  };
}

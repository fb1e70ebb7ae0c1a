import { dirname } from 'node:path';
import type { FileHandle, FileStat, Files } from '../../src/base/file.ts';

export interface FakeFiles extends Files {
  /** What lies on the medium: path to bytes. */
  readonly content: Map<string, Buffer>;
  /** Makes the n-th step from now on (0 is the next one) throw; the disk is full or the power is gone. */
  failAt(step: number, error?: Error): void;
  /** From the failing step on every further step fails too, as after a power cut. */
  dieAt(step: number): void;
  /** Steps taken so far. */
  readonly steps: number;
}

/** Files in memory that can fail at a chosen step: each call that touches the medium is one. */
export function createFakeFiles(initial: Record<string, string> = {}): FakeFiles {
  const content = new Map(Object.entries(initial).map(([path, text]) => [path, Buffer.from(text)]));
  const directories = new Set<string>(['/']);
  const inodes = new Map<string, number>();
  let inode = 1;
  let steps = 0;
  let failing: { at: number; error: Error; forever: boolean } | undefined;

  const step = (): void => {
    const current = steps;
    steps += 1;
    if (!failing) return;
    if (current === failing.at || (failing.forever && current > failing.at)) throw failing.error;
  };
  const missing = (path: string): Error =>
    Object.assign(new Error(`ENOENT: no such file or directory, '${path}'`), { code: 'ENOENT' });

  const open = async (path: string, flags: 'r' | 'w' | 'wx' | 'a'): Promise<FileHandle> => {
    step();
    if (flags === 'wx' && content.has(path))
      throw Object.assign(new Error(`EEXIST: '${path}'`), { code: 'EEXIST' });
    if (flags === 'r' && !content.has(path) && !directories.has(path)) throw missing(path);
    if (flags === 'w' || flags === 'wx' || !content.has(path)) {
      content.set(path, Buffer.alloc(0));
      inodes.set(path, inode++);
    }
    return {
      async write(bytes) {
        const before = content.get(path) ?? Buffer.alloc(0);
        try {
          step();
        } catch (error) {
          // A disk that fills up takes a part of the write.
          content.set(path, Buffer.concat([before, bytes.subarray(0, bytes.length >> 1)]));
          throw error;
        }
        content.set(path, Buffer.concat([before, bytes]));
      },
      sync: async () => step(),
      size: async () => content.get(path)?.length ?? 0,
      close: async () => step(),
    };
  };

  return {
    content,
    get steps() {
      return steps;
    },
    failAt(at, error = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })) {
      failing = { at: steps + at, error, forever: false };
    },
    dieAt(at) {
      failing = { at: steps + at, error: new Error('the power is gone'), forever: true };
    },
    open,
    async read(path) {
      step();
      const bytes = content.get(path);
      if (!bytes) throw missing(path);
      return Buffer.from(bytes);
    },
    async stat(path): Promise<FileStat | undefined> {
      const bytes = content.get(path);
      const base = { mode: 0o640, uid: 0, gid: 0, inode: inodes.get(path) ?? 0 };
      if (bytes) return { kind: 'file', size: bytes.length, ...base };
      if (directories.has(path)) return { kind: 'directory', size: 0, ...base };
      return undefined;
    },
    async list(path) {
      return [...content.keys()]
        .filter((name) => dirname(name) === path)
        .map((name) => name.slice(path.length + 1));
    },
    resolve: async (path) => path,
    async rename(from, to) {
      step();
      const bytes = content.get(from);
      if (!bytes) throw missing(from);
      content.delete(from);
      content.set(to, bytes);
      inodes.set(to, inodes.get(from) ?? inode++);
    },
    async remove(path) {
      step();
      content.delete(path);
    },
    async makeDirectory(path) {
      for (let at = path; at !== '/' && at !== '.'; at = dirname(at)) directories.add(at);
    },
    syncDirectory: async () => step(),
  };
}

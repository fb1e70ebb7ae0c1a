// Not node:fs/promises: it brings in readline and web streams, half a megabyte that nothing here needs.
import {
  close,
  fstat,
  fsync,
  mkdir,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  type Stats,
  stat,
  unlink,
  write,
} from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

/** An open file. */
export interface FileHandle {
  /** Writes all bytes at the file's position (at its end when opened with `a`). */
  write(bytes: Uint8Array): Promise<void>;
  sync(): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

export interface FileStat {
  kind: 'file' | 'directory' | 'device' | 'socket' | 'other';
  size: number;
  /** Permission bits, such as 0o640. */
  mode: number;
  uid: number;
  gid: number;
  /** Changes when the path is another file than before. */
  inode: number;
}

/** The file system as parts see it; tests put one in that fails at a chosen step. */
export interface Files {
  open(path: string, flags: 'r' | 'w' | 'wx' | 'a', mode?: number): Promise<FileHandle>;
  read(path: string): Promise<Buffer>;
  /** undefined when nothing is there. */
  stat(path: string): Promise<FileStat | undefined>;
  /** Names in a directory; empty when there is none. */
  list(path: string): Promise<string[]>;
  /** Where a symbolic link leads in the end; the path itself when it is none. */
  resolve(path: string): Promise<string>;
  rename(from: string, to: string): Promise<void>;
  /** Removing what is not there is no error. */
  remove(path: string): Promise<void>;
  /** Makes a directory and those above it. */
  makeDirectory(path: string, mode?: number): Promise<void>;
  /** Makes renames in a directory durable. */
  syncDirectory(path: string): Promise<void>;
}

const fs = {
  close: promisify(close),
  fstat: promisify(fstat),
  fsync: promisify(fsync),
  mkdir: promisify(mkdir),
  open: promisify(open),
  readdir: promisify(readdir),
  readFile: promisify(readFile),
  realpath: promisify(realpath),
  rename: promisify(rename),
  stat: promisify(stat),
  unlink: promisify(unlink),
  write: promisify(write),
};

/** The file system of the machine. */
export function createSystemFiles(): Files {
  return {
    async open(path, flags, mode) {
      const file = await fs.open(path, flags, mode);
      return {
        write: async (bytes) => {
          let at = 0;
          while (at < bytes.length)
            at += (await fs.write(file, bytes, at, bytes.length - at, null)).bytesWritten;
        },
        sync: () => fs.fsync(file),
        size: async () => (await fs.fstat(file)).size,
        close: () => fs.close(file),
      };
    },
    read: (path) => fs.readFile(path, {}),
    stat: (path) => orUndefined(fs.stat(path).then(describe)),
    list: async (path) => (await orUndefined(fs.readdir(path))) ?? [],
    resolve: (path) => fs.realpath(path),
    rename: (from, to) => fs.rename(from, to),
    remove: async (path) => void (await orUndefined(fs.unlink(path))),
    makeDirectory,
    async syncDirectory(path) {
      const directory = await fs.open(path, 'r');
      try {
        await fs.fsync(directory);
      } finally {
        await fs.close(directory);
      }
    },
  };
}

/** Step by step: Node's own recursive mkdir never returns below /proc and its like. */
async function makeDirectory(path: string, mode?: number): Promise<void> {
  const options = mode === undefined ? {} : { mode };
  try {
    await fs.mkdir(path, options);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EEXIST' && (await fs.stat(path)).isDirectory()) return;
    const above = dirname(path);
    if (code !== 'ENOENT' || above === path) throw error;
    await makeDirectory(above, mode);
    await fs.mkdir(path, options);
  }
}

function describe(stat: Stats): FileStat {
  const kind = stat.isFile()
    ? 'file'
    : stat.isDirectory()
      ? 'directory'
      : stat.isCharacterDevice()
        ? 'device'
        : stat.isSocket()
          ? 'socket'
          : 'other';
  return {
    kind,
    size: Number(stat.size),
    mode: Number(stat.mode) & 0o7777,
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    inode: Number(stat.ino),
  };
}

async function orUndefined<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Whether an error says that the path does not exist. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}

/**
 * Replaces a file so that after a power cut at any moment either the old or the new one is there, whole: write beside
 * it, flush, rename over it, flush the directory.
 *
 * @param mode permission bits of the new file
 */
export async function writeFileAtomic(
  files: Files,
  path: string,
  bytes: Uint8Array | string,
  mode = 0o640,
): Promise<void> {
  const beside = `${path}.new`;
  await files.remove(beside);
  try {
    const handle = await files.open(beside, 'wx', mode);
    try {
      await handle.write(typeof bytes === 'string' ? Buffer.from(bytes) : bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await files.rename(beside, path);
  } catch (error) {
    await files.remove(beside).catch(() => {
      // The first error says what is wrong; a left-over is removed by the next write.
    });
    throw error;
  }
  await files.syncDirectory(dirname(path));
}

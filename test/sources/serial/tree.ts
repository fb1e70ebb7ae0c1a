import { dirname } from 'node:path';
import type { FileStat, Files } from '../../../src/base/file.ts';

/** A file tree of device nodes, attributes and links, to be changed as a test goes on. */
export interface Tree {
  readonly files: Files;
  /** Path to text; a directory is what has something in it. */
  readonly content: Map<string, string>;
  /** Link to where it leads. */
  readonly links: Map<string, string>;
  /** What `stat` says of a node. */
  readonly nodes: Map<string, FileStat>;
}

export function createTree(content: Record<string, string> = {}, links: Record<string, string> = {}): Tree {
  const tree = {
    content: new Map(Object.entries(content)),
    links: new Map(Object.entries(links)),
    nodes: new Map<string, FileStat>(),
  };
  const exists = (path: string): boolean =>
    tree.nodes.has(path) ||
    [...tree.content.keys(), ...tree.links.keys()].some((one) => one === path || one.startsWith(`${path}/`));
  const missing = (path: string): Error => Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
  /** Follows links in every part of a path. */
  const follow = (path: string): string => {
    let real = '';
    for (const part of path.split('/').slice(1)) {
      real += `/${part}`;
      for (let to = tree.links.get(real); to !== undefined; to = tree.links.get(real)) real = to;
    }
    return real;
  };
  const unused = (): never => {
    throw new Error('not part of this tree');
  };
  const files: Files = {
    open: unused,
    rename: unused,
    remove: unused,
    makeDirectory: unused,
    syncDirectory: unused,
    async read(path) {
      const text = tree.content.get(follow(path));
      if (text === undefined) throw missing(path);
      return Buffer.from(text);
    },
    stat: async (path) => tree.nodes.get(follow(path)),
    async list(path) {
      const real = follow(path);
      const names = new Set<string>();
      for (const one of [...tree.content.keys(), ...tree.links.keys(), ...tree.nodes.keys()])
        if (one.startsWith(`${real}/`)) names.add(one.slice(real.length + 1).split('/')[0] ?? '');
      return [...names];
    },
    async resolve(path) {
      const real = follow(path);
      if (!exists(real)) throw missing(dirname(real));
      return real;
    },
  };
  return { files, ...tree };
}

let inodes = 0;

/** A device node as a USB adaptor's usually is; each one is new. */
export function node(more: Partial<FileStat> = {}): FileStat {
  inodes += 1;
  return { kind: 'device', size: 0, mode: 0o660, uid: 0, gid: 20, inode: inodes, ...more };
}

/**
 * What the libraries bring along and a gateway never uses is left out of the bundle, since every loaded module costs
 * resident memory for good. Each line says who asks for the module and why nobody needs it here.
 */
const NOTHING = 'export default {};';

/** A `debug` that never prints; the libraries call it in their hot paths. */
const SILENT_DEBUG = `
const off = () => {};
off.enabled = false;
off.extend = () => off;
const debug = () => off;
debug.enable = off;
debug.disable = () => '';
debug.enabled = () => false;
debug.debug = debug;
export default debug;
`;

/** Node's own streams serve mqtt as well as the copy that readable-stream carries. */
const NODE_STREAM = `
import stream from 'node:stream';
export const { Readable, Writable, Duplex, Transform, PassThrough, pipeline, finished } = stream;
export default stream;
`;

/** mqtt's timers run in a worker in browsers; the agent uses its native variant. */
const NO_WORKER_TIMERS =
  'export const clearTimeout = undefined; export const setTimeout = undefined; export default {};';

/** The prebuilt driver lies beside the bundle, since a bundle cannot hold a shared object. */
const NATIVE_LOADER = `
import { createRequire } from 'node:module';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
const here = dirname(fileURLToPath(import.meta.url));
const folder = () => {
  const name = process.platform + '-' + process.arch;
  for (const base of [join(here, 'prebuilds'), join(here, '..', 'prebuilds')]) {
    if (existsSync(join(base, name))) return join(base, name);
  }
  throw new Error('no serial port driver for ' + name + ' beside the program');
};
export default function load() {
  const found = folder();
  const musl = existsSync('/etc/alpine-release') || existsSync('/lib/ld-musl-' + process.arch + '.so.1');
  const armv = process.arch === 'arm64' ? '8' : String(process.config.variables.arm_version ?? '');
  const files = readdirSync(found).filter((file) => file.endsWith('.node'));
  const fits = (file) => file.includes(musl ? '.musl' : '.glibc') && (!/armv\\d/.test(file) || file.includes('armv' + armv));
  const file = files.find(fits) ?? files.find((one) => !/musl|glibc/.test(one));
  if (file === undefined) throw new Error('no serial port driver in ' + found + ' fits this system; there are: ' + files.join(', '));
  return createRequire(import.meta.url)(join(found, file));
}
`;

/** Where mqtt keeps the topic aliases that a broker allows, of which there are a handful. */
const FEW_ALIASES = `
export class LRUCache {
  #most;
  #kept = new Map();
  constructor({ max }) {
    this.#most = max;
  }
  get size() {
    return this.#kept.size;
  }
  get(key) {
    const value = this.#kept.get(key);
    if (value !== undefined) this.set(key, value);
    return value;
  }
  set(key, value) {
    this.#kept.delete(key);
    this.#kept.set(key, value);
    if (this.#kept.size > this.#most) this.#kept.delete(this.#kept.keys().next().value);
    return this;
  }
  /** The one used last comes first. */
  keys() {
    return [...this.#kept.keys()].reverse();
  }
  clear() {
    this.#kept.clear();
  }
}
`;

const REPLACED = {
  debug: SILENT_DEBUG,
  'readable-stream': NODE_STREAM,
  'worker-timers': NO_WORKER_TIMERS,
  'node-gyp-build': NATIVE_LOADER,
  'lru-cache': FEW_ALIASES,
  // MQTT over WebSocket and through SOCKS proxies are not offered.
  ws: NOTHING,
  socks: NOTHING,
  // xmlbuilder2's YAML reader and writer.
  'js-yaml': NOTHING,
};

/**
 * Parts of libraries that their own index pulls in and nothing here calls: who asks, and for what.
 * xmlbuilder2 is used to build fragments and to write them as XML, so its readers, its other writers and its callback
 * builder go, and of the DOM below it the parser, the serialiser and the URL algorithms of `baseURI`.
 */
const UNUSED = [
  {
    by: /node_modules\/(serialport|@serialport)\//,
    what: /^@serialport\/(parser-|binding-mock)|^\.\/serialport-mock$/,
  },
  // Unix only: the launcher is a shell script, the control socket a Unix one.
  { by: /@serialport\/bindings-cpp\//, what: /^\.\/win32/ },
  { by: /xmlbuilder2\/lib\/writers\/index\.js/, what: /^\.\/(Map|Object|JSON|YAML)Writer$/ },
  { by: /xmlbuilder2\/lib\/builder\//, what: /^\.\.\/readers$|CBWriter$/ },
  { by: /xmlbuilder2\/lib\/builder\/index\.js/, what: /CB(Impl)?$/ },
  { by: /@oozcitak\/dom\/lib\/index\.js/, what: /^\.\/(parser|serializer)$/ },
  { by: /@oozcitak\/dom\//, what: /^@oozcitak\/url/ },
];

/** It looks for its driver from `__dirname`, which ES modules do not have; the loader above needs no folder. */
const SERIALPORT_LOADER = /bindings-cpp\/dist\/serialport-bindings\.js$/;

/** @returns {import('rollup').Plugin} */
export function lean() {
  return {
    name: 'lean',
    resolveId(source, importer) {
      if (source in REPLACED) return `\0lean:${source}`;
      const unused = UNUSED.some(
        ({ by, what }) => importer !== undefined && by.test(importer) && what.test(source),
      );
      if (unused) return '\0lean:ws';
      return null;
    },
    transform(code, id) {
      if (SERIALPORT_LOADER.test(id)) return { code: code.replaceAll('__dirname', '""'), map: null };
      return null;
    },
    load(id) {
      return id.startsWith('\0lean:') ? REPLACED[id.slice('\0lean:'.length)] : null;
    },
  };
}

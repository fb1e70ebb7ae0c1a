import { dirname } from 'node:path';
import { asError, type CodedError } from '../../base/errors.ts';
import type { FileStat, Files } from '../../base/file.ts';
import { nearest } from '../../base/nearest.ts';
import { sourceErrors } from '../errors.ts';
import { listPorts } from './ports.ts';

/** Who this process is. */
export interface Identity {
  readonly uid: number;
  /** Every group, the effective one included. */
  readonly gids: readonly number[];
}

/** How many ports an error names. */
const NAMED = 8;

/** Makes of what opening a port said an error that tells what to do. */
export async function explainOpenError(
  deps: { files: Files; identity: Identity },
  path: string,
  thrown: unknown,
): Promise<CodedError> {
  const error = asError(thrown);
  const stat = await deps.files.stat(path).catch(() => undefined);
  if (!stat) return missingPort(deps, path);
  // npm serialport gives no codes, only texts.
  if (/permission denied|EACCES|EPERM/i.test(error.message)) return denied(deps, path, stat);
  if (/cannot lock|busy|temporarily unavailable|EBUSY/i.test(error.message))
    return sourceErrors.PORT_BUSY({ port: path }, error);
  return sourceErrors.PORT_FAILED({ port: path, cause: plain(error.message, path) }, error);
}

/** What to say of a port that is not there: which ones are, and which was probably meant. */
export async function missingPort(deps: { files: Files }, path: string): Promise<CodedError> {
  const ports = await listPorts(deps).catch(() => []);
  const folder = dirname(path);
  const names = ports.flatMap((port) => {
    const links = [...port.byId, ...port.byPath];
    // Of the several names of a port, those of the kind that was asked for.
    const alike = links.filter((link) => dirname(link) === folder);
    return alike.length > 0 ? alike : folder === '/dev' ? [port.path] : [port.byId[0] ?? port.path];
  });
  const shown =
    names.slice(0, NAMED).join(', ') + (names.length > NAMED ? ` and ${names.length - NAMED} more` : '');
  const near = nearestPort(path, names);
  const present =
    names.length === 0
      ? 'No serial port is present; plug the adaptor in.'
      : `Present now: ${shown}.${near ? ` Did you mean ${near}?` : ''}`;
  return sourceErrors.PORT_MISSING({ port: path, present });
}

/** How many letters in common at its start make a link of another adaptor worth naming. */
const COMMON = 12;

function nearestPort(path: string, names: readonly string[]): string | undefined {
  const base = (name: string): string => name.slice(name.lastIndexOf('/') + 1);
  const known = new Map(names.map((name) => [base(name), name]));
  const near = nearest(base(path), known.keys());
  if (near !== undefined) return known.get(near);
  // Links are long, and those of one maker begin alike.
  let best: string | undefined;
  let most = COMMON - 1;
  for (const [short, name] of known) {
    const common = commonStart(short, base(path));
    if (common > most) {
      most = common;
      best = name;
    }
  }
  return best;
}

function commonStart(one: string, other: string): number {
  let length = 0;
  while (length < one.length && one[length] === other[length]) length += 1;
  return length;
}

async function denied(
  deps: { files: Files; identity: Identity },
  path: string,
  stat: FileStat,
): Promise<CodedError> {
  const { files, identity } = deps;
  const users = await namesIn(files, '/etc/passwd');
  const groups = await namesIn(files, '/etc/group');
  const user = users.get(identity.uid) ?? String(identity.uid);
  const group = groups.get(stat.gid) ?? String(stat.gid);
  const groupMayWrite = (stat.mode & 0o060) === 0o060;
  const help = groupMayWrite
    ? `Run \`sudo usermod -aG ${group} ${user}\` and log in again; in a systemd unit add \`SupplementaryGroups=${group}\`.`
    : `Let a udev rule give it to a group: \`SUBSYSTEM=="tty", KERNEL=="${path.slice(path.lastIndexOf('/') + 1)}", GROUP="dialout", MODE="0660"\`.`;
  return sourceErrors.PORT_DENIED({
    port: path,
    owner: users.get(stat.uid) ?? stat.uid,
    group,
    mode: stat.mode.toString(8).padStart(4, '0'),
    user,
    groups: identity.gids.map((gid) => groups.get(gid) ?? gid).join(' '),
    help,
  });
}

/** Names by number from a file such as /etc/passwd: `name:password:number:…`. */
async function namesIn(files: Files, path: string): Promise<Map<number, string>> {
  const text = await files.read(path).then(
    (bytes) => bytes.toString('utf8'),
    () => '',
  );
  const names = new Map<number, string>();
  for (const line of text.split('\n')) {
    const [name, , number] = line.split(':');
    if (name && number && !names.has(Number(number))) names.set(Number(number), name);
  }
  return names;
}

/** The package writes `Error: Permission denied, cannot open /dev/ttyX`; the path is said before. */
function plain(message: string, path: string): string {
  return message
    .replace(/^Error:? /, '')
    .replace(`, cannot open ${path}`, '')
    .trim();
}

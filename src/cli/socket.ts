import { loadConfig } from '../config/load.ts';
import { formatProblem } from '../config/problem.ts';
import { cliErrors } from './errors.ts';
import type { Surroundings } from './io.ts';

/** Flags of verbs that speak to the running gateway. */
export const SOCKET_FLAGS = {
  config: {
    short: 'c',
    value: 'FILE',
    help: 'The configuration that it was started with; it says where the socket is.',
  },
  socket: { value: 'PATH', help: 'The control socket. Default: /run/presentity/control.sock.' },
} as const;

const DEFAULT_SOCKET = '/run/presentity/control.sock';

/** Where the running gateway listens for tools. */
export async function socketPath(
  { files, io }: Surroundings,
  { config: file, socket }: { readonly config: string | undefined; readonly socket: string | undefined },
): Promise<string> {
  if (socket !== undefined && file !== undefined) throw cliErrors.TWICE({ flag: 'the socket' });
  if (socket !== undefined) return socket;
  if (file === undefined) return DEFAULT_SOCKET;
  const loaded = await loadConfig({ files }, { file, mode: 'run' });
  if (!loaded.ok) {
    for (const one of loaded.problems) io.err(formatProblem(one));
    throw cliErrors.BAD_FLAG({
      flag: '--config',
      value: file,
      why: ': it has errors',
      expected: 'a file that "presentity config check" accepts',
    });
  }
  if (!loaded.config.control) {
    throw cliErrors.BAD_FLAG({
      flag: '--config',
      value: file,
      why: ': it switches the control socket off',
      expected: 'control.enabled: true',
    });
  }
  return loaded.config.control.socket;
}

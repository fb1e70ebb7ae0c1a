import { join } from 'node:path';
import { asError } from '../base/errors.ts';
import type { Files } from '../base/file.ts';
import { daemonErrors } from './errors.ts';

/**
 * Makes the directories that parts will write to and tries them, so that a start says what would otherwise only show
 * when something should have been remembered.
 *
 * @throws DMN_NO_DIRECTORY
 */
export async function prepareDirectories(files: Files, paths: readonly string[]): Promise<void> {
  for (const path of new Set(paths)) {
    try {
      await files.makeDirectory(path);
      const probe = join(path, '.probe');
      await (await files.open(probe, 'w', 0o600)).close();
      await files.remove(probe);
    } catch (error) {
      throw daemonErrors.NO_DIRECTORY({ path, cause: asError(error) }, error);
    }
  }
}

import type { Log } from '../base/log.ts';
import { exits } from './errors.ts';
import type { Surroundings } from './io.ts';

/** What runs until it is told to stop. */
export interface Service {
  start(abort: AbortSignal): Promise<void>;
  /** @param deadline monotonic milliseconds */
  stop(deadline: number): Promise<void>;
  /** Calls when somebody asked it, over the control socket, to stop. */
  onStopRequest?(listener: () => void): () => void;
}

/** How long a clean stop may take: what does not answer by then is left to expiry. Below a service manager's patience. */
const STOP_WITHIN = 3000;

/**
 * Runs a service until the abort signal or a request to stop, then stops it cleanly.
 * @returns 0 after a clean stop; what `start` throws goes to the caller
 */
export async function serve(
  { clock }: Surroundings,
  service: Service,
  abort: AbortSignal,
  log: Log,
  started: () => void,
): Promise<number> {
  const asked = new Promise<void>((resolve) => {
    if (abort.aborted) resolve();
    abort.addEventListener('abort', () => resolve());
    service.onStopRequest?.(() => resolve());
  });
  // A start that hangs on something must not keep SIGTERM waiting.
  await Promise.race([service.start(abort), asked]);
  if (!abort.aborted) started();
  await asked;
  log.info('stopping');
  const late = new Promise<void>((resolve) => clock.after(STOP_WITHIN + 200, resolve));
  await Promise.race([service.stop(clock.now() + STOP_WITHIN), late]);
  log.info('stopped');
  return exits.ok;
}

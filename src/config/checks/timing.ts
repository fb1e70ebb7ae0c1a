import { configErrors } from '../errors.ts';
import { formatDuration } from '../units.ts';
import type { Check } from './context.ts';

/** One lost report must not make a sensor flap: the limit covers at least three of them. */
const REPORTS = 3;

/** Times that fit together: staleness against the interval of the sensor and of its rules. */
export const checkTiming: Check = (context) => {
  for (const [id, device] of Object.entries(context.config.devices)) {
    for (const [signalId, signal] of Object.entries(device.signals)) {
      if (signal.stale === undefined || signal.stale === 'never') continue;
      const path = ['devices', id, 'signals', signalId, 'stale'];
      for (const [key, interval] of [
        ['every', signal.every],
        ['min_interval', signal.minInterval],
      ] as const) {
        if (interval === undefined || signal.stale >= REPORTS * interval) continue;
        context.warning(
          configErrors.RISKY({
            what: `stale ${formatDuration(signal.stale)} is less than three times ${key} ${formatDuration(interval)}, so one lost report makes the device flap`,
            expected: `at least ${formatDuration(REPORTS * interval)}`,
          }),
          path,
        );
        break;
      }
    }
  }
  for (const [id, account] of Object.entries(context.config.accounts)) {
    if (account.registerExpires < account.expires) {
      context.warning(
        configErrors.RISKY({
          what: `the registration (${formatDuration(account.registerExpires)}) is shorter than the publication (${formatDuration(account.expires)})`,
          expected: 'a registration that lives at least as long',
        }),
        ['accounts', id, 'register_expires'],
      );
    }
  }
};

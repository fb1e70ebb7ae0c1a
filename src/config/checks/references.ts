import { nearest } from '../../base/nearest.ts';
import type { Path } from '../document.ts';
import { configErrors } from '../errors.ts';
import { listNames } from '../problem.ts';
import type { ParsedConfig } from '../schema/config.ts';
import type { Check, CheckContext } from './context.ts';

type Device = ParsedConfig['devices'][string];
type Signal = Device['signals'][string];

/** Every name that refers to something else names something that is there, and fits it. */
export const checkReferences: Check = (context) => {
  const { config, names } = context;

  for (const [id, device] of Object.entries(config.devices)) {
    checkAccount(context, id, device);
    for (const [signalId, signal] of Object.entries(device.signals)) {
      const path = ['devices', id, 'signals', signalId];
      if (names.sources.has(signal.source)) checkSignal(context, path, signal);
      else unknownName(context, 'source', signal.source, names.sources, [...path, 'source']);
    }
    if (Object.keys(device.signals).length === 0) {
      context.error(
        configErrors.MISSING_KEY({
          where: `devices.${id}.signals`,
          key: 'a signal',
          expected: 'at least one signal',
        }),
        ['devices', id, 'signals'],
        { at: 'key' },
      );
    }
  }

  for (const [index, rule] of config.commands.entries()) {
    for (const [at, device] of (rule.devices ?? []).entries()) {
      if (!names.devices.has(device)) {
        unknownName(context, 'device', device, names.devices, ['commands', index, 'devices', at]);
      }
    }
  }
};

/** What is defined and of no use. Only meaningful for a file without errors. */
export const checkUnused: Check = ({ config, names, warning }) => {
  const used = new Set(
    Object.values(config.devices).flatMap((device) => Object.values(device.signals).map((one) => one.source)),
  );
  for (const source of names.sources) {
    if (used.has(source)) continue;
    warning(
      configErrors.RISKY({
        what: `no signal uses the source "${source}"`,
        expected: 'remove it, or read a signal from it',
      }),
      ['sources', source],
      { at: 'key' },
    );
  }
};

function unknownName(
  context: CheckContext,
  kind: string,
  name: string,
  known: ReadonlySet<string>,
  path: Path,
): void {
  context.error(
    configErrors.UNKNOWN_NAME({ kind, name, expected: listNames(known, `a ${kind}; there is none yet`) }),
    path,
    {
      meant: nearest(name, known),
    },
  );
}

function checkAccount(context: CheckContext, id: string, device: Device): void {
  const { accounts } = context.names;
  if (device.account === undefined) {
    if (accounts.size > 1) {
      context.error(
        configErrors.MISSING_KEY({
          where: `devices.${id}`,
          key: 'account',
          expected: `one of ${listNames(accounts)}, since there are several`,
        }),
        ['devices', id],
        { at: 'key' },
      );
    }
  } else if (!accounts.has(device.account)) {
    unknownName(context, 'account', device.account, accounts, ['devices', id, 'account']);
  }
}

const ONLY_MQTT = ['topic', 'path', 'time', 'qos', 'retained'] as const;

/** What a signal says about where it comes from fits the kind of its source. */
function checkSignal(context: CheckContext, path: Path, signal: Signal): void {
  const source = context.config.sources[signal.source];
  // A broken source is reported by itself.
  if (!source) return;
  const where = path.join('.');
  const misplaced = (key: string, expected: string) =>
    context.error(
      configErrors.MISPLACED_KEY({ key, why: `the source "${signal.source}" is ${source.type}`, expected }),
      [...path, key],
      { at: 'key' },
    );

  if (source.type === 'mqtt') {
    if (signal.topic === undefined) {
      context.error(configErrors.MISSING_KEY({ where, key: 'topic', expected: 'the topic to read' }), path, {
        at: 'key',
      });
    }
    if (signal.match !== undefined)
      misplaced('match', 'topic says what to read from MQTT, path which part of it');
    if (typeof signal.write === 'string') {
      context.error(
        configErrors.BAD_VALUE({
          what: 'write is a text, but the source is mqtt',
          expected: `{ topic: … }, and payload where {value} alone does not do`,
        }),
        [...path, 'write'],
      );
    }
  } else {
    if (signal.match === undefined) {
      context.error(
        configErrors.MISSING_KEY({
          where,
          key: 'match',
          expected: "a regular expression for a line, such as '^DOOR=(open|shut)$'",
        }),
        path,
        { at: 'key' },
      );
    }
    for (const key of ONLY_MQTT) {
      if (signal[key] !== undefined) misplaced(key, 'match says what to read from a serial line');
    }
    if (typeof signal.write === 'object') {
      context.error(
        configErrors.BAD_VALUE({
          what: 'write is a block, but the source is serial',
          expected: 'the text to send, such as "LAMP={value}\\n"',
        }),
        [...path, 'write'],
      );
    }
  }
}

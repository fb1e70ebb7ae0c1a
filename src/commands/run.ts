import type { Clock } from '../base/clock.ts';
import { asError, type CodedError, isCoded } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Devices } from '../device/device.ts';
import type { Actuator } from '../device/reading.ts';
import type { DeviceState } from '../device/state.ts';
import { type Answer, sayDevice, sayHelp, saySignal, sayValue, sayWhole } from './answer.ts';
import type { Authoriser, Grant } from './authorise.ts';
import { commandErrors } from './errors.ts';
import { type Command, type Verb, verbs } from './grammar.ts';
import { resolveChange, resolvePlace } from './resolve.ts';
import { writeAndReadBack } from './write.ts';

export interface CommandDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly devices: Pick<Devices, 'list' | 'onReading' | 'parse'>;
  /** What can write, by id of the source. */
  readonly actuators: ReadonlyMap<string, Actuator>;
  /** Id of the source that feeds a signal. */
  readonly sourceOf: (device: string, signal: string) => string | undefined;
  readonly authoriser: Authoriser;
  /** Publishes everything anew; resolves with how many publications that were. */
  readonly refresh?: ((devices: readonly string[]) => Promise<number>) | undefined;
  /** Lines that `status` puts in front, such as the state of the account. */
  readonly overview?: (() => readonly string[]) | undefined;
}

export interface CommandOptions {
  /** Milliseconds to wait for a written value to come back. Default 3,000. */
  readonly readBack?: number | undefined;
  /** Milliseconds that a source may take to send a value. Default 5,000. */
  readonly writeLimit?: number | undefined;
  /** Commands that may run or wait at a time. Default 32. */
  readonly waiting?: number | undefined;
}

/** Who asks, and what they can see. */
export interface Asker {
  /** The authenticated sender, as a SIP URI. */
  readonly sender: string;
  /** Ids of the devices that the question reached: one for a device's own AOR. Absent: all. */
  readonly scope?: ReadonlySet<string> | undefined;
  readonly abort: AbortSignal;
}

/** Executes commands. */
export interface Commands {
  /** Does what is asked, as far as this sender may. Never rejects; takes no longer than both time limits together. */
  run(command: Command, asker: Asker): Promise<Answer>;
  counts(): Readonly<Record<'done' | 'refused' | 'failed' | 'unknown' | 'running', number>>;
}

/** Executes commands on devices: the one way by which a text becomes a write. */
export function createCommands(deps: CommandDeps, options: CommandOptions = {}): Commands {
  const { clock, log, devices, actuators, authoriser } = deps;
  const { readBack = 3_000, writeLimit = 5_000, waiting: mostWaiting = 32 } = options;
  const counts = { done: 0, refused: 0, failed: 0, unknown: 0, running: 0 };
  /** Writes to one signal come one after the other; the key is device and signal. */
  const lanes = new Map<string, Promise<unknown>>();

  const refuse = (verb: Verb, error: CodedError): Answer => ({
    verb,
    outcome: 'refused',
    code: error.code,
    text: sayError(error),
  });

  const set = async (
    words: readonly string[],
    visible: readonly DeviceState[],
    asker: Asker,
  ): Promise<Answer> => {
    const resolved = resolveChange(words, visible);
    if (!resolved.ok) return refuse('set', resolved.error);
    const { device, signal, value: text } = resolved.found;
    const place = { device: device.name, signal };
    if (!device.signals.get(signal)?.writable) return refuse('set', commandErrors.READ_ONLY(place));
    const meant = devices.parse(device.id, signal, text);
    if (!meant.ok)
      return refuse('set', commandErrors.BAD_VALUE({ ...place, value: shorten(text), cause: meant.cause }));
    const actuator = actuators.get(deps.sourceOf(device.id, signal) ?? '');
    if (!actuator) return refuse('set', commandErrors.NO_SOURCE(place));

    const { value } = meant;
    const unit = device.signals.get(signal)?.unit;
    const about = { verb: 'set', device: device.id, signal, asked: value } as const;
    const written = await inLane(`${device.id}\0${signal}`, () =>
      writeAndReadBack(clock, {
        actuator,
        device: device.id,
        signal,
        value,
        onReading: devices.onReading,
        writeLimit,
        readBack,
        abort: asker.abort,
      }),
    );
    const subject = `${device.name} ${signal}`;
    switch (written.kind) {
      case 'confirmed':
        return {
          ...about,
          outcome: 'done',
          value: written.value,
          text: written.matches
            ? `${subject}: ${sayValue(written.value, unit)}`
            : `${subject}: ${sayValue(value, unit)} was written, it reads ${sayValue(written.value, unit)}`,
        };
      case 'silent':
        return {
          ...about,
          outcome: 'done',
          text: `${subject}: ${sayValue(value, unit)} was written; no reading came within ${seconds(readBack)} s`,
        };
      case 'failed': {
        const error = commandErrors.WRITE_FAILED({ ...place, cause: written.error.message }, written.error);
        const code = isCoded(written.error) ? written.error.code : error.code;
        return { ...about, outcome: 'failed', code, text: error.message };
      }
      case 'unknown': {
        const error =
          written.cause === 'time'
            ? commandErrors.NOT_CONFIRMED({ ...place, seconds: seconds(writeLimit) })
            : commandErrors.STOPPED();
        return { ...about, outcome: 'unknown', code: error.code, text: error.message };
      }
    }
  };

  const inLane = async <Result>(key: string, run: () => Promise<Result>): Promise<Result> => {
    const mine = (lanes.get(key) ?? Promise.resolve()).then(run);
    lanes.set(key, mine);
    try {
      return await mine;
    } finally {
      if (lanes.get(key) === mine) lanes.delete(key);
    }
  };

  const get = (words: readonly string[], visible: readonly DeviceState[]): Answer => {
    const resolved = resolvePlace(words, visible);
    if (!resolved.ok) return refuse('get', resolved.error);
    const { device, signal: name } = resolved.found;
    const signal = name === undefined ? undefined : device.signals.get(name);
    if (!signal)
      return { verb: 'get', outcome: 'done', device: device.id, text: sayWhole(device, clock.now()) };
    return {
      verb: 'get',
      outcome: 'done',
      device: device.id,
      signal: signal.name,
      value: signal.known ? signal.value : undefined,
      text: `${device.name} ${saySignal(signal, clock.now())}`,
    };
  };

  const refresh = async (visible: readonly DeviceState[]): Promise<Answer> => {
    try {
      const count = (await deps.refresh?.(visible.map((device) => device.id))) ?? 0;
      return { verb: 'refresh', outcome: 'done', text: `publishing anew: ${plural(count, 'publication')}` };
    } catch (thrown) {
      const error = commandErrors.REFRESH_FAILED({ cause: asError(thrown).message }, thrown);
      return { verb: 'refresh', outcome: 'failed', code: error.code, text: error.message };
    }
  };

  const status = (visible: readonly DeviceState[], whole: boolean): Answer => {
    const lines = [...(whole ? (deps.overview?.() ?? []) : []), ...visible.map(sayDevice)];
    return { verb: 'status', outcome: 'done', text: lines.join('\n') || 'there is no device' };
  };

  const help = (asker: Asker): Answer => {
    const allowed = verbs.filter(
      (verb) => verb === 'help' || authoriser.grant(asker.sender, verb) !== 'none',
    );
    const settable = see(authoriser.grant(asker.sender, 'set'), asker);
    return { verb: 'help', outcome: 'done', text: sayHelp(allowed, settable) };
  };

  const see = (grant: Grant, asker: Asker): DeviceState[] =>
    devices
      .list()
      .filter(
        ({ id }) =>
          (asker.scope === undefined || asker.scope.has(id)) &&
          (grant === 'all' || (grant !== 'none' && grant.has(id))),
      );

  const execute = async ({ verb, words }: Command, asker: Asker): Promise<Answer> => {
    const grant = authoriser.grant(asker.sender, verb);
    if (grant === 'none') return refuse(verb, commandErrors.NOT_ALLOWED({ what: verb }));
    const visible = see(grant, asker);
    switch (verb) {
      case 'help':
        return help(asker);
      case 'status':
        return status(visible, asker.scope === undefined && grant === 'all');
      case 'get':
        return get(words, visible);
      case 'set':
        return set(words, visible, asker);
      case 'refresh':
        return refresh(visible);
    }
  };

  return {
    async run(command, asker) {
      if (counts.running >= mostWaiting) {
        counts.refused += 1;
        return refuse(command.verb, commandErrors.BUSY());
      }
      counts.running += 1;
      try {
        const answer = await execute(command, asker);
        counts[answer.outcome] += 1;
        log.debug('command', {
          from: asker.sender,
          verb: command.verb,
          outcome: answer.outcome,
          code: answer.code,
        });
        return answer;
      } catch (thrown) {
        // A fault of ours must not look like a deed.
        counts.failed += 1;
        log.error('command failed', { verb: command.verb, cause: asError(thrown) });
        return { verb: command.verb, outcome: 'failed', text: `failed: ${asError(thrown).message}` };
      } finally {
        counts.running -= 1;
      }
    },
    counts: () => ({ ...counts }),
  };
}

/** Text for a sender: what happened, then what to do, where that is for the sender and not for the operator. */
export function sayError(error: CodedError): string {
  const forOperator =
    error.code === commandErrors.NOT_ALLOWED.code || error.code === commandErrors.READ_ONLY.code;
  return forOperator ? error.message : `${error.message}. ${error.remedy}`;
}

const seconds = (ms: number): number => Math.round(ms / 100) / 10;
const plural = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`;
const shorten = (text: string): string => (text.length > 40 ? `${text.slice(0, 40)}…` : text);

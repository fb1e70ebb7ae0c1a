import type { Clock } from '../../base/clock.ts';
import type { CodedError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Reading, Value } from '../../device/reading.ts';
import { wireText } from '../../device/values.ts';
import { sourceErrors } from '../errors.ts';
import { bindingKey, fillWrite, type WriteTarget, writableBinding } from '../write.ts';
import type { SerialBinding } from './options.ts';
import { createPattern, type Pattern } from './pattern.ts';

/** Reads can stall for seconds while a larger write is blocked. */
const LONGEST_WRITE = 16_384;

/** What came of lines, counted over the life of a source. */
export interface BoardCounts {
  lines: number;
  readings: number;
  /** Lines that no pattern matched. */
  unmatched: number;
}

/** What the board behind a port says and understands. */
export interface Board {
  /** The readings that a line holds. */
  read(line: string, at: number): Reading[];
  /**
   * The bytes that set a signal.
   * @throws CodedError SRC_NOT_WRITABLE, SRC_WRITE_REFUSED
   */
  encode(target: WriteTarget, value: Value): Buffer;
  /** Why a pattern rests. */
  slow(): CodedError | undefined;
}

/**
 * Reads and checks bindings.
 * @throws CodedError SRC_BAD_PATTERN
 */
export function createBoard(
  deps: { clock: Clock; log: Log; counts: BoardCounts },
  bindings: readonly SerialBinding[],
): Board {
  const { clock, log, counts } = deps;
  const byKey = new Map(bindings.map((binding) => [bindingKey(binding), binding]));
  let slow: CodedError | undefined;
  /** Signals of one pattern, which is then searched once. */
  const patterns = new Map<string, { pattern: Pattern; bindings: SerialBinding[] }>();
  for (const binding of byKey.values()) {
    if (binding.match === undefined) continue;
    const shared = patterns.get(binding.match);
    if (shared) {
      shared.bindings.push(binding);
      continue;
    }
    const pattern = createPattern(clock, binding.match, (error) => {
      slow = error;
      log.warn('pattern rests', { code: error.code, cause: error.message, remedy: error.remedy });
    });
    patterns.set(binding.match, { pattern, bindings: [binding] });
  }

  return {
    read(line, at) {
      counts.lines += 1;
      const readings: Reading[] = [];
      for (const { pattern, bindings: fed } of patterns.values()) {
        const value = pattern.find(line);
        if (value === undefined) continue;
        for (const { device, signal } of fed) readings.push({ device, signal, value, at, age: 'fresh' });
      }
      counts.readings += readings.length;
      if (readings.length === 0) counts.unmatched += 1;
      return readings;
    },
    encode(target, value) {
      const binding = writableBinding(byKey, target);
      const refuse = (problem: string): CodedError => sourceErrors.WRITE_REFUSED({ ...target, problem });
      const text = wireText(value, binding.values);
      // A line end within a value would begin a command of its own.
      if (/[\u0000-\u001f\u007f]/.test(text)) throw refuse('it holds control characters');
      const bytes = Buffer.from(fillWrite(binding.write, text));
      if (bytes.length > LONGEST_WRITE) throw refuse('it is too long');
      return bytes;
    },
    slow() {
      const now = clock.now();
      const rests = [...patterns.values()].some(({ pattern }) => (pattern.restsUntil ?? 0) > now);
      if (!rests) slow = undefined;
      return slow;
    },
  };
}

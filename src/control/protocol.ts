/**
 * What tools and the running process say to each other: one JSON object a line, UTF-8, on a unix socket.
 *
 *     tool:    {"version":1,"id":1,"verb":"status"}
 *     process: {"version":1,"id":1,"result":{…}}            or
 *              {"version":1,"id":1,"error":{"code":"CTL_…","text":"…","remedy":"…","exit":70}}
 *
 * A stream (`tail`) answers with any number of items until one side closes:
 *
 *     process: {"version":1,"id":2,"item":{…}}
 *              {"version":1,"id":2,"lost":17}               items that the tool was too slow for
 */
import type { DaemonEvent } from './event.ts';
import type { StatusReport } from './status.ts';

export const PROTOCOL = 1;

/** Questions with one answer. */
export interface Questions {
  status: StatusReport;
  /** Stops the process as SIGTERM does; answered before it begins. */
  stop: Record<string, never>;
}

/** Questions with a stream of answers. */
export interface Streams {
  tail: DaemonEvent;
}

export type Question = keyof Questions;
export type Stream = keyof Streams;

export interface Request {
  readonly version: number;
  readonly id: number;
  readonly verb: string;
}

export interface Failure {
  readonly code: string;
  readonly text: string;
  readonly remedy: string;
  readonly exit: number;
}

export type Answer = { readonly version: number; readonly id: number } & (
  | { readonly result: unknown }
  | { readonly error: Failure }
  | { readonly item: unknown }
  | { readonly lost: number }
);

/** Reads a request; says why when it is none. */
export function parseRequest(
  line: string,
): { ok: true; request: Request } | { ok: false; id: number; why: string } {
  const value = parseObject(line);
  if (!value) return { ok: false, id: 0, why: 'no JSON object' };
  const { version, id, verb } = value;
  const known = typeof id === 'number' && Number.isSafeInteger(id) ? id : 0;
  if (typeof version !== 'number') return { ok: false, id: known, why: 'no version' };
  if (known <= 0) return { ok: false, id: 0, why: 'no id, a whole number from 1' };
  if (typeof verb !== 'string') return { ok: false, id: known, why: 'no verb' };
  return { ok: true, request: { version, id: known, verb } };
}

/** Reads an answer; `undefined` when it is none. */
export function parseAnswer(line: string): Answer | undefined {
  const value = parseObject(line);
  if (!value || typeof value.version !== 'number' || typeof value.id !== 'number') return undefined;
  const { version, id } = value;
  if ('result' in value) return { version, id, result: value.result };
  if ('item' in value) return { version, id, item: value.item };
  if (typeof value.lost === 'number') return { version, id, lost: value.lost };
  const failure = value.error as Partial<Failure> | undefined;
  if (typeof failure !== 'object' || failure === null) return undefined;
  const { code = '', text = '', remedy = '', exit = 70 } = failure;
  return {
    version,
    id,
    error: { code: String(code), text: String(text), remedy: String(remedy), exit: Number(exit) },
  };
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

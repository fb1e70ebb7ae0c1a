import { dirname, resolve } from 'node:path';
import * as v from 'valibot';
import { asError, type CodedError } from '../base/errors.ts';
import type { Files } from '../base/file.ts';
import { nearest } from '../base/nearest.ts';
import { assemble, type Config } from './assemble.ts';
import type { CheckContext, Spot } from './checks/context.ts';
import { checkEdge, checkIdentity } from './checks/identity.ts';
import { checkReferences, checkUnused } from './checks/references.ts';
import { checkRules } from './checks/rules.ts';
import { checkTiming } from './checks/timing.ts';
import { type ConfigDocument, type Path, parseConfigText } from './document.ts';
import { configErrors } from './errors.ts';
import { readIncludes } from './includes.ts';
import { formatPath, listNames, type Problem, problem, sortProblems } from './problem.ts';
import { configSchema, type ParsedConfig } from './schema/config.ts';
import { expectation, isRecord, valueAt } from './shape.ts';
import { translateIssue } from './translate.ts';
import { findMisfits, type Misfit } from './unknown.ts';

/** A gateway has hundreds of devices at most; a larger file is another file. */
const LARGEST = 1_048_576;
const WORLD_READABLE = 0o004;

export interface LoadOptions {
  /** As it is to appear in messages; also where relative paths start. */
  readonly file: string;
  /** `check`: an unknown key is an error. `run`: a warning, so that a newer file still runs on an older program. */
  readonly mode: 'check' | 'run';
}

export type Loaded =
  | { readonly ok: true; readonly config: Config; readonly problems: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[] /** sysexits(3) */; readonly exit: number };

/** Reads, checks and puts together a configuration. Changes nothing, and never throws for what the file says. */
export async function loadConfig(deps: { files: Files }, options: LoadOptions): Promise<Loaded> {
  const { file } = options;
  const fail = (error: CodedError): Loaded => ({
    ok: false,
    problems: [problem('error', error, { file })],
    exit: error.exit,
  });

  let bytes: Buffer;
  let mode = 0;
  try {
    const stat = await deps.files.stat(file);
    if (!stat) return fail(configErrors.NO_FILE({ file }));
    if (stat.kind === 'directory') return fail(configErrors.UNREADABLE({ file, cause: 'it is a directory' }));
    if (stat.size > LARGEST) return fail(configErrors.TOO_LARGE({ limit: '1 MiB' }));
    mode = stat.mode;
    bytes = await deps.files.read(file);
  } catch (error) {
    return fail(configErrors.UNREADABLE({ file, cause: asError(error).message }));
  }
  const text = decode(bytes);
  if (text === undefined) return fail(configErrors.NOT_UTF8({ offset: firstBadByte(bytes) }));

  const document = parseConfigText(text);
  if (document.faults.length > 0) {
    const problems = document.faults.map((fault) =>
      problem('error', configErrors.SYNTAX({ what: fault.text, expected: fault.expected }), {
        file,
        place: fault.place,
      }),
    );
    return { ok: false, problems: sortProblems(problems), exit: configErrors.SYNTAX.spec.exit };
  }
  if (document.value === null || document.value === '') return fail(configErrors.EMPTY());
  return check(deps, options, document, (mode & WORLD_READABLE) !== 0);
}

async function check(
  deps: { files: Files },
  { file, mode }: LoadOptions,
  document: ConfigDocument,
  exposed: boolean,
): Promise<Loaded> {
  const problems: Problem[] = [];
  const report: Report = (level, error, path, spot = {}) => {
    const place = spot.at === 'key' ? document.keyPlace(path) : document.valuePlace(path, spot.offset);
    problems.push(problem(level, error, { file, place, path, meant: spot.meant }));
  };

  const misfits = findMisfits(configSchema, document.value);
  for (const misfit of misfits) reportMisfit(misfit, mode, report);

  const included = await readIncludes(deps.files, configSchema, document.value, dirname(file), exposed);
  for (const finding of included.findings) report(finding.level, finding.error, finding.path);

  const parsed = v.safeParse(configSchema, included.data);
  const lists = misfits.filter(({ kind }) => kind === 'list').map((one) => formatPath(one.path));
  for (const issue of parsed.issues ?? []) {
    for (const { error, path, at, meant } of translateIssue(issue, configSchema, included.data)) {
      if (!lists.some((list) => formatPath(path).startsWith(list)))
        report('error', error, path, { at, meant });
    }
  }

  const sound = parsed.success ? parsed.output : salvage(included.data, parsed.issues);
  if (sound) {
    const names = (key: string) => new Set(Object.keys(recordAt(document.value, key)));
    const context: CheckContext = {
      config: sound,
      names: { accounts: names('accounts'), sources: names('sources'), devices: names('devices') },
      error: (error, path, spot) => report('error', error, path, spot),
      warning: (error, path, spot) => report('warning', error, path, spot),
    };
    for (const crossCheck of [checkReferences, checkRules, checkTiming, checkIdentity, checkEdge]) {
      crossCheck(context);
    }
    // Of a file with errors nobody can say what is superfluous.
    if (!problems.some((one) => one.level === 'error')) checkUnused(context);
  }

  const sorted = sortProblems(withoutEchoes(problems));
  if (!parsed.success || sorted.some((one) => one.level === 'error')) {
    return { ok: false, problems: sorted, exit: configErrors.BAD_VALUE.spec.exit };
  }
  return {
    ok: true,
    config: assemble(parsed.output, file, await machineId(deps.files, file)),
    problems: sorted,
  };
}

/** What makes this machine's client ids its own. Where there is no machine-id(5), the place of the file has to do. */
async function machineId(files: Files, file: string): Promise<string> {
  for (const path of ['/etc/machine-id', '/var/lib/dbus/machine-id']) {
    try {
      const id = (await files.read(path)).toString('latin1').trim();
      if (id !== '') return id;
    } catch {
      // Absent on OpenWrt and in containers.
    }
  }
  return resolve(file);
}

type Report = (level: Problem['level'], error: CodedError, path: Path, spot?: Spot) => void;

function reportMisfit(misfit: Misfit, mode: LoadOptions['mode'], report: Report): void {
  const { path } = misfit;
  if (misfit.kind === 'list') {
    const what = `${formatPath(path) || 'the file'} cannot be a list`;
    report('error', configErrors.BAD_VALUE({ what, expected: expectation(misfit.schema) }), path, {
      at: 'key',
    });
    return;
  }
  const key = String(path.at(-1));
  const where = formatPath(path.slice(0, -1)) || 'the file';
  const error = configErrors.UNKNOWN_KEY({ key, where, expected: `known here: ${listNames(misfit.known)}` });
  report(mode === 'check' ? 'error' : 'warning', error, path, {
    at: 'key',
    meant: nearest(key, misfit.known),
  });
}

/**
 * Leaves out what says the same mistake again: a block that several names share by an alias, and a key that is missing
 * because it is misspelt on the next line.
 */
function withoutEchoes(problems: readonly Problem[]): Problem[] {
  const seen = new Set<string>();
  const misspelt = new Set(
    problems.flatMap(({ code, path, meant }) =>
      code === configErrors.UNKNOWN_KEY.code && meant !== undefined
        ? [formatPath([...path.slice(0, -1), meant])]
        : [],
    ),
  );
  return problems.filter((one) => {
    const echo =
      one.code === configErrors.MISSING_KEY.code && [...misspelt].some((path) => isEchoOf(one, path));
    const key = `${one.code}\0${one.place?.line}:${one.place?.column}\0${one.code === configErrors.UNKNOWN_KEY.code ? '' : one.text}`;
    if (echo || seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/** Whether a missing key is the one that was meant at `path`. */
function isEchoOf({ text, path }: Problem, misspelt: string): boolean {
  const key = /lacks "([^"]+)"$/.exec(text)?.[1];
  return key !== undefined && formatPath([...path, key]) === misspelt;
}

/**
 * The part of the data that is sound, so that cross checks run on it and all mistakes are told at once: entries that
 * the schema refused are taken out whole, and whole blocks where that does not do.
 */
function salvage(data: unknown, issues: readonly v.BaseIssue<unknown>[]): ParsedConfig | undefined {
  if (!isRecord(data)) return undefined;
  const copy: Record<string, unknown> = { ...data, version: 1 };
  for (const issue of issues) {
    const [block, entry] = (issue.path ?? []).map((step) => step.key as string | number);
    if (typeof block !== 'string' || block === 'version') continue;
    const entries = copy[block];
    if (
      isRecord(entries) &&
      typeof entry === 'string' &&
      Object.hasOwn(recordAt(data, block), entry) &&
      NAMED.has(block)
    ) {
      const { [entry]: _, ...others } = entries;
      copy[block] = others;
    } else if (!NAMED.has(block) || typeof entry !== 'string') {
      delete copy[block];
    }
  }
  const again = v.safeParse(configSchema, copy);
  return again.success ? again.output : undefined;
}

/** Blocks of named entries. */
const NAMED: ReadonlySet<string> = new Set(['accounts', 'sources', 'devices', 'users']);

function recordAt(data: unknown, key: string): Record<string, unknown> {
  const value = valueAt(data, [key]);
  return isRecord(value) ? value : {};
}

function decode(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    return undefined;
  }
}

function firstBadByte(bytes: Buffer): number {
  // Decoded leniently, the first replacement character stands where the bytes stop being UTF-8.
  const text = bytes.toString('utf8');
  return Buffer.byteLength(text.slice(0, text.indexOf('\ufffd')));
}

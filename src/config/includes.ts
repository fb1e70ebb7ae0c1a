import { isAbsolute, join } from 'node:path';
import { asError, type CodedError } from '../base/errors.ts';
import type { Files } from '../base/file.ts';
import type { Path } from './document.ts';
import { configErrors } from './errors.ts';
import type { Schema } from './schema/field.ts';
import { childSchema, isRecord, shapeOf } from './shape.ts';

/** What was found while reading the files that the configuration names. */
export interface IncludeFinding {
  readonly level: 'error' | 'warning';
  readonly error: CodedError;
  readonly path: Path;
}

/** Files that the world may read do not keep a secret. */
const WORLD_READABLE = 0o004;
/** Longer than any password, shorter than what was surely meant to be another file. */
const LONGEST_SECRET = 1024;
const LONGEST_PEM = 262_144;

/**
 * Reads what `password_file` and its like name, and puts it where `password` would stand. Paths are relative to
 * `directory`, that of the configuration file.
 *
 * @param exposed whether the configuration file itself is readable by everybody
 * @returns a copy of `data`; the original keeps no secret that came from a file
 */
export async function readIncludes(
  files: Files,
  schema: Schema,
  data: unknown,
  directory: string,
  exposed: boolean,
): Promise<{ data: unknown; findings: IncludeFinding[] }> {
  const findings: IncludeFinding[] = [];

  const visit = async (inner: Schema, value: unknown, path: Path): Promise<unknown> => {
    if (Array.isArray(value)) {
      const items: unknown[] = [];
      for (const [index, item] of value.entries()) {
        const child = childSchema(inner, value, index);
        items.push(child ? await visit(child, item, [...path, index]) : item);
      }
      return items;
    }
    if (!isRecord(value)) return value;
    const copy: Record<string, unknown> = {};
    for (const [key, item] of Object.entries(value)) {
      const child = childSchema(inner, value, key);
      copy[key] = child ? await visit(child, item, [...path, key]) : item;
      if (!child) continue;
      const { facts } = shapeOf(child);
      if (facts.include && typeof item === 'string' && item !== '') {
        const target = key.replace(/_file$/, '');
        if (Object.hasOwn(value, target)) {
          findings.push({
            level: 'error',
            error: configErrors.CONFLICT({
              what: `both ${target} and ${key} are given`,
              expected: `one of them; best ${key}`,
            }),
            path: [...path, key],
          });
          continue;
        }
        const content = await readOne(files, isAbsolute(item) ? item : join(directory, item), facts.include);
        findings.push(...content.findings.map((finding) => ({ ...finding, path: [...path, key] })));
        if (content.text !== undefined) copy[target] = content.text;
      } else if (facts.secret && exposed && typeof item === 'string') {
        findings.push({
          level: 'warning',
          error: configErrors.RISKY({
            what: `everybody on this machine can read this ${key}`,
            expected: `put it into a file of its own and name that in ${key}_file, or chmod o-r this file`,
          }),
          path: [...path, key],
        });
      }
    }
    return copy;
  };

  return { data: await visit(schema, data, []), findings };
}

async function readOne(
  files: Files,
  file: string,
  kind: 'secret' | 'pem',
): Promise<{ text?: string; findings: Omit<IncludeFinding, 'path'>[] }> {
  const refuse = (cause: string, expected: string) => ({
    findings: [{ level: 'error' as const, error: configErrors.BAD_SECRET({ file, cause, expected }) }],
  });
  let bytes: Buffer;
  let mode: number;
  try {
    const stat = await files.stat(file);
    if (!stat)
      return refuse('there is no such file', 'create it, or correct the path (it is relative to this file)');
    if (stat.kind === 'directory') return refuse('it is a directory', 'the path of a file');
    if (stat.size > (kind === 'secret' ? LONGEST_SECRET : LONGEST_PEM)) {
      return refuse(
        `it is ${stat.size} bytes long`,
        kind === 'secret' ? 'a file that holds one line' : 'a PEM file',
      );
    }
    mode = stat.mode;
    bytes = await files.read(file);
  } catch (error) {
    return refuse(asError(error).message, 'a file that the user that runs presentity can read');
  }
  const content = bytes.toString('utf8');
  if (kind === 'pem') return { text: content, findings: [] };

  // The line end that every editor adds is not part of the secret; anything else is.
  const secret = content.replace(/\r?\n$/, '');
  if (secret.trim() === '') return refuse('it is empty', 'a file that holds one line, the secret');
  if (/[\r\n]/.test(secret))
    return refuse('it holds more than one line', 'a file that holds one line, the secret');
  const open = (mode & WORLD_READABLE) !== 0;
  return {
    text: secret,
    findings: open
      ? [
          {
            level: 'warning',
            error: configErrors.RISKY({
              what: `everybody on this machine can read ${file}`,
              expected: `chmod 640 ${file}`,
            }),
          },
        ]
      : [],
  };
}

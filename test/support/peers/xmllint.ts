/** Validates documents against the schemas of the presence RFCs, many at a time. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The name under which `needs` looks for it. */
export const XMLLINT = 'xmllint';

const SCHEMA = join(import.meta.dirname, '..', 'schema', 'presence.xsd');

/** Documents of one xmllint process. */
const BATCH = 200;

/** What xmllint has against the documents: one text for each that is not valid, none when all are. */
export async function xmllint(documents: readonly string[], schema = SCHEMA): Promise<string[]> {
  const home = mkdtempSync(join(tmpdir(), 'presentity-xmllint-'));
  try {
    const wrong: string[] = [];
    for (let from = 0; from < documents.length; from += BATCH) {
      const batch = documents.slice(from, from + BATCH);
      batch.forEach((document, index) => {
        writeFileSync(join(home, `${index}.xml`), document);
      });
      const said = await lint(schema, home, batch.length);
      batch.forEach((document, index) => {
        const name = join(home, `${index}.xml`);
        if (said.includes(`${name} validates`)) return;
        const about = said.split('\n').filter((line) => line.startsWith(`${name}:`));
        wrong.push(`${about.join('\n')}\n${document}`);
      });
    }
    return wrong;
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

function lint(schema: string, home: string, count: number): Promise<string> {
  const names = Array.from({ length: count }, (_none, index) => join(home, `${index}.xml`));
  return new Promise((resolve, reject) => {
    const args = ['--noout', '--nonet', '--schema', schema, ...names];
    execFile(XMLLINT, args, { maxBuffer: 64 << 20 }, (error, _stdout, stderr) => {
      // Exit status 5 is a schema that does not load; then nothing was checked.
      if (error && (error.code === 5 || !stderr.includes(home)))
        reject(new Error(`xmllint: ${stderr || error}`));
      else resolve(stderr);
    });
  });
}

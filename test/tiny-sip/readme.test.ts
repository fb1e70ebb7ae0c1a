import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Stack } from 'tiny-sip';
import * as tinySip from 'tiny-sip';
import * as assert from 'uvu/assert';
import { suite } from '../support/harness.ts';

const test = suite('tiny-sip README');

const readme = readFileSync(join(import.meta.dirname, '../../src/tiny-sip/README.md'), 'utf8');

function example(name: string): string {
  const found = new RegExp(`<!-- example: ${name} -->\\n\`\`\`js\\n([^\`]*(?:\`(?!\`\`)[^\`]*)*)\`\`\``).exec(
    readme,
  );
  assert.ok(found?.[1], `the README has the example ${name}`);
  return found[1] ?? '';
}

/** Runs an example as it stands, but with a free port and our own console, and answers what it left. */
async function run(name: string, port: number, printed: string[]): Promise<Stack> {
  const body = example(name)
    .replace(/import (\{[^}]*\}) from 'tiny-sip';/, 'const $1 = tinySip;')
    .replaceAll('5060', String(port));
  const AsyncFunction = (async () => undefined).constructor as new (
    ...parts: string[]
  ) => (...values: unknown[]) => Promise<Stack>;
  const program = new AsyncFunction('tinySip', 'console', `${body}\nreturn stack;`);
  return program(tinySip, { log: (line: unknown) => void printed.push(String(line)) });
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1', () => {
      const { port } = socket.address();
      socket.close(() => resolve(port));
    });
  });
}

test('the two examples talk to each other, and have about ten lines', async () => {
  const port = await freePort();
  const printed: string[] = [];
  const server = await run('uas', port, printed);
  await run('uac', port, printed);
  await server.stop();
  assert.equal(printed, ['sip:alice@127.0.0.1 says: hello', '200']);
  for (const name of ['uas', 'uac']) {
    const lines = example(name)
      .split('\n')
      .filter((line) => line.trim() !== '');
    assert.ok(lines.length <= 10, `${name} has ${lines.length}`);
  }
});

test('every name that the README shows in code is exported', () => {
  const names = new Set([...readme.matchAll(/\b(create[A-Z]\w+)/g)].map((match) => match[1] ?? ''));
  assert.ok(names.size >= 8);
  for (const name of names) assert.type((tinySip as Record<string, unknown>)[name], 'function', name);
});

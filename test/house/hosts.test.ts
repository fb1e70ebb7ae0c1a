/** What is delivered names no machine of anybody's: nothing is sent anywhere unless the configuration says so. */
import { readdirSync, readFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { join } from 'node:path';
import ts from 'typescript';
import * as assert from 'uvu/assert';
import { suite } from '../support/harness.ts';

const test = suite('hosts');

const root = join(import.meta.dirname, '..', '..');

/** Names of XML namespaces look like addresses; nobody connects to them. */
const NAMESPACES = new Set(['www.w3.org']);

/** RFC 2606 and RFC 6761: these names are nobody's, and stand in texts and for nobody. */
const NOBODY = /(?:^|\.)(?:example|invalid|test|localhost|example\.(?:com|net|org))$/;

/** This machine, all addresses, and those of RFC 5737. */
const NOWHERE = /^(?:0\.0\.0\.0|255\.255\.255\.255|127\.|10\.|192\.0\.2\.|198\.51\.100\.|203\.0\.113\.)/;

/** A name after a scheme or an at sign, or one that is the whole literal and ends as public names do. */
const NAMED =
  /(?:\b(?:https?|wss?|mqtts?|sips?|stun):(?:\/\/)?|@)(?:[\w.%+-]+@)?((?:[a-z\d-]+\.)+[a-z]{2,})/gi;
const WHOLE = /^(?:[a-z\d-]+\.)+(?:com|net|org|io|dev|eu|de|info|biz|app|cloud|us|uk|fr|ch|at|cn|me)$/i;
const NUMBERED = /(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])/g;

function literals(path: string): string[] {
  const source = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest);
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node))
      found.push(node.text);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function hostsIn(text: string): string[] {
  const names = [...text.matchAll(NAMED)].map(([, name = '']) => name.toLowerCase());
  if (WHOLE.test(text)) names.push(text.toLowerCase());
  const numbers = [...text.matchAll(NUMBERED)].map(([number]) => number).filter((one) => isIPv4(one));
  return [
    ...names.filter((name) => !NAMESPACES.has(name) && !NOBODY.test(name)),
    ...numbers.filter((number) => !NOWHERE.test(number)),
  ];
}

test('S40: no default remote host in the package', () => {
  const found: string[] = [];
  let files = 0;
  for (const room of ['src', 'targets'])
    for (const name of readdirSync(join(root, room), { recursive: true, encoding: 'utf8' })) {
      if (!/\.(?:ts|mjs|js)$/.test(name) || /(?:^|\/)(?:node_modules|dist)\//.test(name)) continue;
      files += 1;
      for (const literal of literals(join(root, room, name)))
        for (const host of hostsIn(literal)) found.push(`${room}/${name}: ${host}`);
    }
  assert.ok(files > 200, `${files} files`);
  assert.equal(found, []);
});

test('S40: what would be one is found', () => {
  for (const [text, hosts] of [
    ['sip:sip.linphone.org;transport=tls', ['sip.linphone.org']],
    ['https://subscribe.linphone.org:444/wizard.php', ['subscribe.linphone.org']],
    ['stun.example.net', []],
    ['stun.voip.eu', ['stun.voip.eu']],
    ['8.8.8.8', ['8.8.8.8']],
    ['1.2.3', []],
    ['sip:alice@vendor.io', ['vendor.io']],
    ['http://www.w3.org/2001/XMLSchema', []],
    ['sip:anonymous@anonymous.invalid', []],
    ['package.json', []],
  ] as const)
    assert.equal(hostsIn(text), [...hosts], text);
});

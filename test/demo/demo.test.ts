import * as assert from 'uvu/assert';
import { suite } from '../support/harness.ts';
import { runDemo } from './demo.ts';
import type { DemoReport } from './tally.ts';

const test = suite('demo', { timeout: 60_000 });

test('shows readings as presence, partial publications and commands, and ends by itself with one JSON object', async () => {
  const out: string[] = [];
  const err: string[] = [];
  const io = {
    out: (text: string) => void out.push(text),
    err: (text: string) => void err.push(text),
    terminal: false,
    columns: () => 100,
    rows: () => 40,
    abort: new AbortController().signal,
    version: 'test',
  };
  const status = await runDemo(io, { seconds: 15, json: true });
  assert.is(status, 0);
  assert.is(out.length, 1, 'one JSON object and nothing else');
  const report = JSON.parse(out[0] ?? '') as DemoReport;

  const { full, partial } = report.publications;
  assert.ok(full.count >= 2, 'the gateway and the lamp each published a whole document');
  assert.ok(partial.count > full.count, 'changes went out as partial documents');
  assert.ok(partial.bytes > 0 && full.bytes > 0);
  assert.ok(report.notifications.count >= 4);
  assert.ok(report.commands.executed >= 1, 'alice was obeyed');
  assert.ok(report.commands.refused >= 1, 'mallory was not');
  assert.equal(Object.keys(report.devices).sort(), ['beacon', 'door', 'freezer', 'lamp']);
  assert.match(report.devices.freezer?.note ?? '', /-?\d+\.\d °C/);
  assert.is(report.devices.lamp?.state, 'open');
});

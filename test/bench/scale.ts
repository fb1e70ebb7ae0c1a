/**
 * What one change costs, from the reading to the datagram, with 10, 100, 1,000 and 10,000 devices in presentities of ten.
 * Run as a program of its own: prints one JSON array, an entry for each size.
 */
import { createAgent } from '../../src/agent/agent.ts';
import type { AccountOptions, Configured } from '../../src/agent/options.ts';
import { createSystemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createSystemRandom } from '../../src/base/random.ts';
import { createDevices } from '../../src/device/device.ts';
import { createFakeFiles } from '../support/fake-files.ts';
import { createStub } from './stub.ts';

export interface ScaleResult {
  devices: number;
  /** Median microseconds from the reading to the datagram. */
  median: number;
  /** Whole microseconds of CPU for a change, answer and all. */
  cpu: number;
}

const SIZES = [10, 100, 1_000, 10_000];
const PER_AOR = 10;
const WARM_UP = 300;
const CHANGES = 1_000;

const results: ScaleResult[] = [];
for (const size of SIZES) results.push(await measure(size, 'diff'));
console.log(JSON.stringify(results));
process.exit(0);

async function measure(size: number, publish: Configured): Promise<ScaleResult> {
  const clock = createSystemClock();
  const random = createSystemRandom();
  const stub = createStub();
  const ids = Array.from({ length: size }, (_none, index) => `d${index}`);
  const devices = createDevices(
    { clock, log: silentLog },
    {
      devices: ids.map((id) => ({
        id,
        signals: { v: { source: 'bench', stale: 'never' } },
        states: [{ note: '{v} °C' }],
      })),
    },
  );
  const accounts = Array.from({ length: size / PER_AOR }, (_none, index): AccountOptions => {
    const mine = ids.slice(index * PER_AOR, (index + 1) * PER_AOR);
    return {
      id: `a${index}`,
      aor: `sip:gateway${index}@test.local`,
      target: { protocol: 'tcp', host: '127.0.0.1', port: 5060, name: 'test.local' },
      publish,
      devices: mine.map((id) => ({ id })),
    };
  });
  const agent = createAgent(
    {
      clock,
      random,
      log: silentLog,
      files: createFakeFiles(),
      devices,
      actuators: new Map(),
      sourceOf: () => undefined,
      sockets: () => [stub.transport],
    },
    { accounts, data: '/data', runtime: '/run' },
  );

  let sent = 0;
  let last = 0;
  let heard: (() => void) | undefined;
  stub.onSent((method) => {
    if (method !== 'PUBLISH') return;
    last = performance.now();
    sent += 1;
    heard?.();
  });
  const next = (): Promise<void> =>
    new Promise((resolve) => {
      heard = resolve;
    });

  await agent.start(new AbortController().signal);
  // Every presentity is published once before anything is measured.
  while (sent < accounts.length) await next();
  await turns(20);

  let value = 0;
  const change = async (): Promise<number> => {
    const id = ids[Math.floor(random.float() * size)] ?? 'd0';
    value += 1;
    const published = next();
    const at = performance.now();
    devices.reading({ device: id, signal: 'v', value, at: clock.now(), age: 'fresh' });
    await published;
    const took = last - at;
    // The answer comes back, and what it sets off settles.
    await turns(3);
    return took;
  };
  for (let count = 0; count < WARM_UP; count += 1) await change();
  const cpu = process.cpuUsage();
  const times: number[] = [];
  for (let count = 0; count < CHANGES; count += 1) times.push(await change());
  const used = process.cpuUsage(cpu);
  times.sort((a, b) => a - b);
  await agent.stop(clock.now());
  devices.stop();
  return {
    devices: size,
    median: (times[times.length >> 1] ?? Number.NaN) * 1_000,
    cpu: (used.user + used.system) / CHANGES,
  };
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

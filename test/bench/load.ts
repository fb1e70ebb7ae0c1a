/**
 * The load of the memory and latency figures: an agent with 20 devices in one presentity, half of them fed over MQTT
 * and half over a serial line, ten readings a second each way, every reading a new value.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBroker } from '../demo/broker.ts';
import { type Program, startProgram } from '../support/peers/program.ts';
import { startSerialPair } from '../support/peers/socat.ts';
import { cpuOf, type Memory, median, memoryOf } from './memory.ts';
import { startSink } from './sink.ts';

export interface LoadOptions {
  seconds: number;
  publish: 'full' | 'diff' | 'segments' | 'auto';
  detail: 'lean' | 'full';
  /** The built program. */
  program: string;
  /** Whether there is socat to make a serial line. */
  serial: boolean;
}

export interface LoadResult {
  memory: Memory;
  /** CPU seconds of the agent for each second of load. */
  cpu: number;
  /** Milliseconds from the reading's departure to the datagram's arrival, ascending. */
  latencies: { mqtt: number[]; serial: number[] };
  publications: number;
  bytes: number;
  readings: number;
}

const DEVICES = 20;

/** Readings a second over each of the two sources. */
const RATE = 10;

/** Memory is looked at this often, over the last third of the run; milliseconds. */
const SAMPLE_EVERY = 500;

export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const home = mkdtempSync(join(tmpdir(), 'presentity-bench-'));
  const sink = await startSink();
  const broker = await startBroker();
  const line = options.serial ? await startSerialPair() : undefined;
  const config = join(home, 'presentity.yaml');
  mkdirSync(join(home, 'run'));
  writeFileSync(join(home, 'secret'), 'pump\n', { mode: 0o600 });
  writeFileSync(
    config,
    configuration({ ...options, home, sink: sink.port, broker: broker.url, port: line?.port }),
  );

  let agent: Program | undefined;
  try {
    agent = startProgram({
      command: options.program,
      args: ['run', '-c', config],
    });
    const published = new Promise<void>((resolve) => sink.onPublish(() => resolve()));
    await Promise.race([
      published,
      agent.ended.then((status) => {
        throw new Error(`the agent ended with ${status}:\n${agent?.lines.slice(-20).join('\n')}`);
      }),
      after(20_000).then(() => {
        throw new Error(`the agent published nothing within 20 s:\n${agent?.lines.slice(-20).join('\n')}`);
      }),
    ]);
    return await load(options, agent.pid, sink, broker, line);
  } finally {
    await agent?.stop();
    await line?.stop();
    await broker.close();
    await sink.close();
    rmSync(home, { recursive: true, force: true });
  }
}

async function load(
  options: LoadOptions,
  pid: number,
  sink: Awaited<ReturnType<typeof startSink>>,
  broker: Awaited<ReturnType<typeof startBroker>>,
  line: Awaited<ReturnType<typeof startSerialPair>> | undefined,
): Promise<LoadResult> {
  const departed = new Map<string, { at: number; source: 'mqtt' | 'serial' }>();
  const latencies: LoadResult['latencies'] = { mqtt: [], serial: [] };
  sink.onPublish((text, at) => {
    for (const [value, reading] of departed) {
      if (!text.includes(value)) continue;
      departed.delete(value);
      latencies[reading.source].push(at - reading.at);
    }
  });

  const samples: Memory[] = [];
  const cpuBefore = cpuOf(pid);
  const before = { ...sink.counts };
  const ticks = options.seconds * RATE;
  const sampleFrom = (ticks * 2) / 3;
  let readings = 0;
  let value = 1000;
  const send = async (source: 'mqtt' | 'serial', device: number): Promise<void> => {
    value += 1;
    readings += 1;
    // Ends in 7, so that no trailing zero is lost on the way and every value is written as it came.
    const text = `${value}.7`;
    departed.set(text, { at: performance.now(), source });
    if (source === 'mqtt') broker.publish(`bench/d${device}`, JSON.stringify({ v: Number(text) }));
    else await line?.write(`D${device}=${text}\r\n`);
  };
  const started = performance.now();
  for (let tick = 0; tick < ticks; tick += 1) {
    const device = tick % (DEVICES / 2);
    await send('mqtt', device);
    // Half a period apart, so that one reading does not ride in the other's document.
    await after(started + (tick + 0.5) * (1000 / RATE) - performance.now());
    if (line) await send('serial', DEVICES / 2 + device);
    if (tick >= sampleFrom && tick % ((RATE * SAMPLE_EVERY) / 1000) === 0) samples.push(memoryOf(pid));
    await after(started + (tick + 1) * (1000 / RATE) - performance.now());
  }
  await after(SAMPLE_EVERY);
  samples.push(memoryOf(pid));

  latencies.mqtt.sort((a, b) => a - b);
  latencies.serial.sort((a, b) => a - b);
  return {
    memory: median(samples),
    cpu: (cpuOf(pid) - cpuBefore) / options.seconds,
    latencies,
    publications: sink.counts.publications - before.publications,
    bytes: sink.counts.bytes - before.bytes,
    readings,
  };
}

function configuration(
  options: LoadOptions & { home: string; sink: number; broker: string; port: string | undefined },
): string {
  const devices = Array.from({ length: DEVICES }, (_none, index) => {
    const serial = index >= DEVICES / 2;
    if (serial && options.port === undefined) return '';
    const from = serial
      ? `source: board, match: '^D${index}=(.+)$'`
      : `source: plant, topic: bench/d${index}, path: v`;
    return `
  d${index}:
    name: Sensor ${index}
    signals:
      v: { ${from}, unit: Cel, stale: 1h }
    states:
      - { note: "{v} °C" }`;
  });
  return `version: 1
data: ${options.home}
runtime: ${join(options.home, 'run')}
accounts:
  main:
    aor: sip:gateway7@test.local
    password_file: secret
    registrar: sip:test.local
    outbound_proxy: "sip:127.0.0.1:${options.sink};transport=udp"
    publish: ${options.publish}
    detail: ${options.detail}
sources:
  plant: { type: mqtt, url: "${options.broker}" }
${options.port === undefined ? '' : `  board: { type: serial, port: ${options.port}, baud: 115200 }`}
devices:${devices.join('')}
`;
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}

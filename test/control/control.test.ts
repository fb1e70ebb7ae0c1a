import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { createSystemClock } from '../../src/base/clock.ts';
import { isCoded } from '../../src/base/errors.ts';
import { createSystemFiles } from '../../src/base/file.ts';
import { silentLog } from '../../src/base/log.ts';
import { connectControl } from '../../src/control/client.ts';
import type { DaemonEvent } from '../../src/control/event.ts';
import { createControlServer } from '../../src/control/server.ts';
import type { StatusReport } from '../../src/control/status.ts';
import { suite } from '../support/harness.ts';

const test = suite('control socket');
const clock = createSystemClock();
const files = createSystemFiles();

const REPORT: StatusReport = {
  report: 1,
  version: '0.0.0',
  state: 'ok',
  pid: 1,
  uptime: 2,
  memory: 3,
  accounts: [],
  sources: [],
  devices: [],
  counts: {},
};

let directory = '';
test.beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'control-'));
});
test.afterEach(() => rmSync(directory, { recursive: true }));

function rig(options: { clients?: number; path?: string } = {}) {
  const listeners = new Set<(event: DaemonEvent) => void>();
  let stopped = 0;
  const path = options.path ?? join(directory, 'run', 'control.sock');
  const server = createControlServer(
    {
      clock,
      log: silentLog,
      files,
      questions: {
        status: () => REPORT,
        stop: () => {
          stopped += 1;
          return {};
        },
      },
      streams: {
        tail: (send) => {
          listeners.add(send);
          return () => listeners.delete(send);
        },
      },
    },
    { socket: path, ...(options.clients !== undefined && { clients: options.clients }) },
  );
  return {
    path,
    server,
    listeners,
    stopped: () => stopped,
    start: () => server.start(new AbortController().signal),
    stop: () => server.stop(clock.now() + 1000),
    emit: (event: DaemonEvent) => {
      for (const one of listeners) one(event);
    },
  };
}

const event = (note: string): DaemonEvent => ({
  at: 1,
  type: 'device',
  device: 'd',
  reach: 'reachable',
  note,
});

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return isCoded(error) ? `${error.code} ${error.exit}` : String(error);
  }
  return 'no error';
}

/** Says something raw, and collects what comes until `lines` lines are there or the server closes. */
function say(path: string, text: string | Buffer, lines: number): Promise<string[]> {
  return new Promise((resolve) => {
    let got = '';
    const socket = connect({ path }, () => socket.write(text));
    socket.on('data', (chunk) => {
      got += chunk.toString();
      if (got.split('\n').length > lines) socket.destroy();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(got.split('\n').slice(0, -1)));
  });
}

/** Waits until `done` says so, by turns of the event loop. */
async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setImmediate(resolve));
}

test('a tool asks for the status and gets it', async () => {
  const { path, start, stop } = rig();
  await start();
  const client = await connectControl({ clock }, path);
  assert.equal(await client.ask('status'), REPORT);
  assert.equal(await client.ask('status'), REPORT);
  client.close();
  await stop();
});

test('only the owner and the group may use the socket', async () => {
  const { path, start, stop } = rig();
  await start();
  assert.is(statSync(path).mode & 0o777, 0o660);
  assert.is(statSync(join(directory, 'run')).mode & 0o007, 0);
  await stop();
  assert.throws(() => statSync(path), /ENOENT/);
});

test('a tail gets each event, until the process stops', async () => {
  const { path, start, stop, emit, listeners } = rig();
  await start();
  const client = await connectControl({ clock }, path);
  const got: DaemonEvent[] = [];
  const followed = client.follow('tail', { item: (item) => got.push(item) });
  await until(() => listeners.size === 1);
  for (const note of ['a', 'b', 'c']) emit(event(note));
  await until(() => got.length === 3);
  await stop();
  await followed;
  assert.equal(got, ['a', 'b', 'c'].map(event));
  assert.is(listeners.size, 0, 'the tap is closed');
});

test('a tail that does not read costs a bounded amount, and is told what it missed', async () => {
  const { path, start, stop, emit, listeners, server } = rig();
  await start();
  const socket = connect({ path });
  socket.write('{"version":1,"id":1,"verb":"tail"}\n');
  socket.pause();
  await until(() => listeners.size === 1);
  const before = process.memoryUsage().heapUsed;
  for (let count = 0; count < 50_000; count++) emit(event('x'.repeat(1000)));
  assert.ok((server.counts().lost ?? 0) > 40_000);
  assert.ok(process.memoryUsage().heapUsed - before < 30_000_000);
  let got = '';
  socket.on('data', (chunk) => {
    got += chunk.toString();
  });
  socket.resume();
  await until(() => got.length > 200_000);
  while (!got.includes('"lost"')) {
    emit(event('again'));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.match(got, /"lost":\d{5}/);
  socket.destroy();
  await stop();
});

test('a tool that asks and does not read costs a bounded amount', async () => {
  const big = { ...REPORT, config: 'x'.repeat(10_000) };
  const path = join(directory, 'control.sock');
  let asked = 0;
  const server = createControlServer(
    {
      clock,
      log: silentLog,
      files,
      questions: {
        status: () => {
          asked += 1;
          return big;
        },
        stop: () => ({}),
      },
      streams: { tail: () => () => {} },
    },
    { socket: path },
  );
  await server.start(new AbortController().signal);
  const socket = connect({ path });
  socket.pause();
  let got = 0;
  for (let id = 1; id <= 5000; id++) socket.write(`{"version":1,"id":${id},"verb":"status"}\n`);
  await until(() => asked > 10);
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(asked < 500, `${asked} answers for nobody`);
  socket.on('data', (chunk) => {
    got += chunk.toString().split('\n').length - 1;
  });
  socket.resume();
  await until(() => got === 5000);
  socket.destroy();
  await server.stop(clock.now());
});

test('G43: a tool that does not read does not delay the end', async () => {
  const { path, start, server, emit, listeners } = rig();
  await start();
  const socket = connect({ path });
  socket.write('{"version":1,"id":1,"verb":"tail"}\n');
  socket.pause();
  await until(() => listeners.size === 1);
  for (let count = 0; count < 10_000; count++) emit(event('x'.repeat(1000)));
  const begin = clock.now();
  await server.stop(begin + 50);
  assert.ok(clock.now() - begin < 1000);
  assert.is(listeners.size, 0);
  socket.destroy();
});

test('stop is answered', async () => {
  const { path, start, stop, stopped } = rig();
  await start();
  const client = await connectControl({ clock }, path);
  assert.equal(await client.ask('stop'), {});
  assert.is(stopped(), 1);
  client.close();
  await stop();
});

test('nobody there is NOT_RUNNING with 69, and a socket left behind too', async () => {
  const path = join(directory, 'gone.sock');
  assert.is(await codeOf(connectControl({ clock }, path)), 'CTL_NOT_RUNNING 69');
  await leaveBehind(path);
  assert.is(await codeOf(connectControl({ clock }, path)), 'CTL_NOT_RUNNING 69');
});

/** A socket file on which nobody listens any more, as kill -9 leaves it. */
async function leaveBehind(path: string): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(`${path}.live`, resolve));
  // Renamed, it outlives the server, which removes only the name that it knows.
  await files.rename(`${path}.live`, path);
  await new Promise((resolve) => server.close(resolve));
}

test('a socket left behind by kill -9 is replaced', async () => {
  const path = join(directory, 'control.sock');
  await leaveBehind(path);
  const { start, stop } = rig({ path });
  await start();
  const client = await connectControl({ clock }, path);
  assert.equal(await client.ask('status'), REPORT);
  client.close();
  await stop();
});

test('a socket on which somebody answers is left alone', async () => {
  const first = rig();
  await first.start();
  const second = rig({ path: first.path });
  assert.is(await codeOf(second.start()), 'CTL_ALREADY_RUNNING 75');
  assert.is(second.server.health().code, 'CTL_ALREADY_RUNNING');
  await second.stop();
  const client = await connectControl({ clock }, first.path);
  assert.equal(await client.ask('status'), REPORT, 'the first still answers');
  client.close();
  await first.stop();
});

test('a file that is no socket is never removed', async () => {
  const path = join(directory, 'precious.txt');
  writeFileSync(path, 'precious');
  assert.is(await codeOf(rig({ path }).start()), 'CTL_NOT_A_SOCKET 73');
  assert.is((await files.read(path)).toString(), 'precious');
});

test('a path that the system cannot take, or where nothing can be made, says so', async () => {
  assert.is(await codeOf(rig({ path: join(directory, 'x'.repeat(120)) }).start()), 'CTL_PATH_TOO_LONG 78');
  writeFileSync(join(directory, 'file'), '');
  assert.is(
    await codeOf(rig({ path: join(directory, 'file', 'control.sock') }).start()),
    'CTL_CANNOT_LISTEN 73',
  );
});

test('what is no request is answered and harms nothing', async () => {
  const { path, start, stop } = rig();
  await start();
  const codes = async (text: string | Buffer, lines = 1) =>
    (await say(path, text, lines)).map(
      (line) => (JSON.parse(line) as { error?: { code: string } }).error?.code,
    );
  assert.equal(await codes('hello\n'), ['CTL_BAD_REQUEST']);
  assert.equal(
    await codes('[]\n{}\n{"version":1}\n{"version":1,"id":-1,"verb":"x"}\n', 4),
    Array(4).fill('CTL_BAD_REQUEST'),
  );
  assert.equal(await codes('{"version":1,"id":1,"verb":"toString"}\n'), ['CTL_UNKNOWN_VERB']);
  assert.equal(await codes('{"version":1,"id":1,"verb":"__proto__"}\n'), ['CTL_UNKNOWN_VERB']);
  assert.equal(await codes('{"version":2,"id":1,"verb":"status"}\n'), ['CTL_VERSION']);
  assert.equal(await codes(Buffer.alloc(70_000, 'a')), ['CTL_LINE_TOO_LONG']);
  assert.equal(await codes(Buffer.from([0xff, 0xfe, 0, 10])), ['CTL_BAD_REQUEST']);
  assert.equal(
    await codes('{"version":1,"id":1,"verb":"tail"}\n{"version":1,"id":2,"verb":"tail"}\n'),
    ['CTL_BAD_REQUEST'],
    'one stream a connection',
  );
  const client = await connectControl({ clock }, path);
  assert.equal(await client.ask('status'), REPORT);
  client.close();
  await stop();
});

test('a request in pieces, and several in one piece, are answered in order', async () => {
  const { path, start, stop } = rig();
  await start();
  const socket: Socket = connect({ path });
  let got = '';
  socket.on('data', (chunk) => {
    got += chunk.toString();
  });
  for (const byte of '{"version":1,"id":7,"verb":"status"}\n\n{"version":1,"id":8,"verb":"status"}\n')
    socket.write(byte);
  await until(() => got.split('\n').length > 2);
  assert.equal(
    got
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { id: number }).id),
    [7, 8],
  );
  socket.destroy();
  await stop();
});

test('one tool too many is told so, and a place is free again when another leaves', async () => {
  const { path, start, stop, server } = rig({ clients: 2 });
  await start();
  const clients = [await connectControl({ clock }, path), await connectControl({ clock }, path)];
  for (const client of clients) await client.ask('status');
  const third = await connectControl({ clock }, path);
  assert.is(await codeOf(third.ask('status')), 'CTL_TOO_MANY 75');
  clients[0]?.close();
  await until(() => server.counts().clients === 1);
  const fourth = await connectControl({ clock }, path);
  assert.equal(await fourth.ask('status'), REPORT);
  for (const client of [clients[1], fourth]) client?.close();
  await stop();
});

test('a process that goes away before it answers, and one that is no presentity, are named', async () => {
  const path = join(directory, 'strange.sock');
  let reply: string | undefined;
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', () => (reply === undefined ? socket.end() : socket.write(reply)));
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const ask = async () => {
    const client = await connectControl({ clock }, path, { patience: 50 });
    const code = await codeOf(client.ask('status'));
    client.close();
    return code;
  };
  assert.is(await ask(), 'CTL_CLOSED 75');
  reply = 'HTTP/1.1 400 Bad Request\r\n\r\n';
  assert.is(await ask(), 'CTL_BAD_ANSWER 76');
  reply = '{"version":1,"id":1,"item":{}}\n';
  assert.is(await ask(), 'CTL_BAD_ANSWER 76');
  reply = '';
  assert.is(await ask(), 'CTL_TIMEOUT 75');
  await new Promise((resolve) => server.close(resolve));
});

test('a server that fails to answer tells why', async () => {
  const path = join(directory, 'control.sock');
  const server = createControlServer(
    {
      clock,
      log: silentLog,
      files,
      questions: {
        status: () => {
          throw new Error('the report is broken');
        },
        stop: () => ({}),
      },
      streams: { tail: () => () => {} },
    },
    { socket: path },
  );
  await server.start(new AbortController().signal);
  const client = await connectControl({ clock }, path);
  assert.is(await codeOf(client.ask('status')), 'CTL_FAILED 70');
  client.close();
  await server.stop(0);
});

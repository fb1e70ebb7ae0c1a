/** tiny-sip on links that go down, change their address and drop without a word: two real network namespaces. */
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { installed, suite } from '../support/harness.ts';
import { NAMESPACE, type Namespace, namespacesWork, startNamespace } from '../support/peers/namespace.ts';
import type { Program } from '../support/peers/program.ts';

const test = suite('tiny-sip and networks', { timeout: 90_000 });

const ready = NAMESPACE.every(installed) && namespacesWork();
const NEEDS = ready ? [] : ['network namespaces'];
/** RFC 5737, RFC 3849. */
const SERVER = { 4: '192.0.2.1', 6: '2001:db8::1' } as const;

function script(name: string, ...args: readonly string[]) {
  return { command: process.execPath, args: ['--import', 'tsx', join(import.meta.dirname, name), ...args] };
}

/** A server on one side of a cable; the other side has no address yet. */
async function scene(
  body: (near: Namespace, far: Namespace, server: Program) => Promise<void>,
): Promise<void> {
  const near = await startNamespace();
  const far = await startNamespace();
  let server: Program | undefined;
  try {
    await far.linkUp();
    await near.linkUp();
    await far.ip('link', 'add', 'cable', 'type', 'veth', 'peer', 'name', 'cable', 'netns', String(near.pid));
    await far.ip('addr', 'add', `${SERVER[4]}/24`, 'dev', 'cable');
    await far.ip('addr', 'add', `${SERVER[6]}/64`, 'dev', 'cable', 'nodad');
    await far.ip('link', 'set', 'cable', 'up');
    server = far.start(script('network-server.ts'));
    await server.line(/^server is up$/, 20_000);
    await body(near, far, server);
  } finally {
    await server?.stop();
    await near.stop();
    await far.stop();
  }
}

async function address(near: Namespace, given: string): Promise<void> {
  const bits = given.includes(':') ? ['64', 'nodad'] : ['24'];
  await near.ip('addr', 'add', `${given}/${bits[0]}`, 'dev', 'cable', ...bits.slice(1));
}

/** The first line about such a request by that protocol after the ones that are there now. A PUBLISH has no Contact. */
function next(
  server: Program,
  method: 'REGISTER' | 'PUBLISH' | 'SUBSCRIBE',
  protocol: string,
  from: string,
  ms: number,
): Promise<string> {
  const seen = server.lines.length;
  const shown = from.includes(':') ? `\\[${from}\\]` : from;
  const contact = method === 'PUBLISH' ? 'undefined' : `sip:\\S*@${shown}:`;
  const wanted = new RegExp(`^${method} by ${protocol} from ${from} via ${from} contact ${contact}`);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      leave();
      reject(new Error(`no ${wanted} within ${ms} ms:\n${server.lines.slice(seen).join('\n')}`));
    }, ms);
    const leave = server.onLine((line) => {
      if (!wanted.test(line)) return;
      clearTimeout(timer);
      leave();
      resolve(line);
    });
  });
}

/** Everything that a client has to say, by both protocols. */
function all(server: Program, from: string, ms: number): Promise<unknown> {
  const methods = ['REGISTER', 'PUBLISH', 'SUBSCRIBE'] as const;
  return Promise.all(
    ['udp', 'tcp'].flatMap((protocol) => methods.map((method) => next(server, method, protocol, from, ms))),
  );
}

for (const [family, first, second, third] of [
  [4, '192.0.2.5', '192.0.2.6', '192.0.2.7'],
  [6, '2001:db8::5', '2001:db8::6', '2001:db8::7'],
] as const)
  test.needs(
    NEEDS,
    `S29: IPv${family}: the address changes, then the link goes down: registered, published and subscribed by the new one within 10 s, no old one told`,
    () =>
      scene(async (near, _far, server) => {
        await address(near, first);
        await near.ip('link', 'set', 'cable', 'up');
        const start = all(server, first, 20_000);
        const clients = ['udp', 'tcp'].map((protocol) =>
          near.start(script('network-client.ts', protocol, SERVER[family])),
        );
        try {
          await start;

          const moved = all(server, second, 10_000);
          await near.ip('addr', 'del', `${first}/${family === 4 ? 24 : 64}`, 'dev', 'cable');
          await address(near, second);
          await moved;

          await near.ip('link', 'set', 'cable', 'down');
          await near.ip('addr', 'flush', 'dev', 'cable');
          await new Promise((resolve) => setTimeout(resolve, 6_000));
          const back = all(server, third, 10_000);
          await near.ip('link', 'set', 'cable', 'up');
          await address(near, third);
          await back;
          for (const protocol of ['udp', 'tcp']) {
            // A connection may have been in use until it was noticed, within 5 s, that its address is gone.
            const lines = server.lines.filter((line) => line.includes(` by ${protocol} `));
            const noticed = lines.findIndex((line) => line.includes(`from ${second} `));
            const told = lines
              .slice(noticed)
              .filter((line) => line.includes(`${first} `) || line.includes(`${first}]`));
            assert.equal(told, [], 'the old address');
          }
        } finally {
          for (const client of clients) await client.stop();
        }
      }),
  );

test.needs(NEEDS, 'S30: a path that drops without a word is found, on TCP by pings, on UDP by STUN', () =>
  scene(async (near, far) => {
    await address(near, '192.0.2.5');
    await near.ip('link', 'set', 'cable', 'up');
    const clients = ['udp', 'tcp'].map((protocol) =>
      near.start(script('network-client.ts', protocol, SERVER[4])),
    );
    try {
      await Promise.all(clients.map((client) => client.line(/^registered by /, 20_000)));
      // Long enough for answers to come while the path is whole: nothing is closed for nothing.
      await new Promise((resolve) => setTimeout(resolve, 14_000));
      assert.ok(clients.every(({ lines }) => lines.every((line) => !line.startsWith('closed'))));
      const began = performance.now();
      // What the server sends is lost; the client sees no error.
      await far.ip('route', 'add', 'blackhole', '192.0.2.5/32');
      await Promise.all(clients.map((client) => client.line(/^closed SIP_FLOW_SILENT$/, 40_000)));
      // Flow-Timer 12 s: pings and STUN requests within 10.8 s, and 10 s for their answers.
      assert.ok(performance.now() - began < 30_000);
      const back = clients.map(
        (client) =>
          new Promise<void>((resolve) => {
            client.onLine((line) => line.startsWith('registered by ') && resolve());
          }),
      );
      await far.ip('route', 'del', 'blackhole', '192.0.2.5/32');
      await Promise.all(back);
    } finally {
      for (const client of clients) await client.stop();
    }
  }),
);

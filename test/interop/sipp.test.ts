/** A tiny-sip stack under SIPp, which knows nothing of it. */

import { createStack, createTcpTransport, createUdpTransport, type Stack } from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createSystemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createSystemRandom } from '../../src/base/random.ts';
import { suite } from '../support/harness.ts';
import { SIPP, startSipp } from '../support/peers/sipp.ts';
import { request, scenario } from './sipp-scenario.ts';

const test = suite('tiny-sip and sipp', { timeout: 30_000 });

async function scene(
  protocol: 'udp' | 'tcp',
  body: (scene: { stack: Stack; remote: string }) => Promise<void>,
): Promise<void> {
  const deps = { clock: createSystemClock(), random: createSystemRandom(), log: silentLog };
  const address = { host: '127.0.0.1', port: 0 };
  const transport =
    protocol === 'udp' ? createUdpTransport(deps, address) : createTcpTransport(deps, address);
  const stack = createStack(deps, { transports: [transport] });
  await stack.start();
  try {
    await body({ stack, remote: `127.0.0.1:${transport.local.port}` });
  } finally {
    await stack.stop();
  }
}

for (const protocol of ['udp', 'tcp'] as const) {
  test.needs([SIPP], `answers 300 OPTIONS and MESSAGEs that come 300 a second, ${protocol}`, () =>
    scene(protocol, async ({ stack, remote }) => {
      let messages = 0;
      stack.on('OPTIONS', (incoming) => incoming.respond(200, { headers: { Allow: 'OPTIONS, MESSAGE' } }));
      stack.on('MESSAGE', (incoming) => {
        messages += 1;
        incoming.respond(incoming.request.text().trim() === 'status' ? 200 : 400);
      });
      const sipp = await startSipp({
        scenario: scenario(
          request('OPTIONS', '[branch]'),
          '<recv response="200"/>',
          request('MESSAGE', '[branch]', ['Content-Type: text/plain'], 'status'),
          '<recv response="200"/>',
        ),
        remote,
        protocol,
        calls: 300,
        rate: 300,
      });
      await sipp.done;
      assert.is(messages, 300);
    }),
  );
}

test.needs([SIPP], 'S19: a request that comes again because its answer was lost is handled once', () =>
  scene('udp', async ({ stack, remote }) => {
    let handled = 0;
    stack.on('MESSAGE', (incoming) => {
      handled += 1;
      incoming.respond(200);
    });
    const message = request('MESSAGE', '[branch]', ['Content-Type: text/plain'], 'set lamp on');
    const sipp = await startSipp({
      // SIPp throws every second answer away and sends again after 50 ms.
      scenario: scenario(
        message.replace('<send>', '<send retrans="50">'),
        '<recv response="200" lost="50"/>',
      ),
      remote,
      calls: 50,
      rate: 50,
    });
    await sipp.done;
    assert.is(handled, 50);
    assert.ok(
      sipp.output().some((line) => /MESSAGE -+>\s+50\s+[1-9]/.test(line)),
      'nothing was sent again',
    );
  }),
);

test.needs([SIPP], 'a method that nobody handles is refused with 405 or 501', () =>
  scene('udp', async ({ stack, remote }) => {
    stack.on('MESSAGE', (incoming) => incoming.respond(200));
    const sipp = await startSipp({
      scenario: scenario(
        request('FROBNICATE', '[branch]'),
        '<recv response="501" optional="true" next="1"/>',
        '<recv response="405"/>',
        '<label id="1"/>',
      ),
      remote,
    });
    await sipp.done;
  }),
);

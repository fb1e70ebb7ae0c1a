/** Sources and wires that fail while the agent runs: seen as unknown with the cause, mended by themselves. */
import * as assert from 'uvu/assert';
import { suite } from '../support/harness.ts';
import { tuplesOf } from '../support/peers/tuples.ts';
import { decided, GATEWAY, needs, says, scene } from './scene.ts';

const test = suite('faults', { timeout: 60_000 });

test.needs(
  needs('kamailio'),
  'S43, G1, G2: a pulled board is unknown with the cause at once and back after it is plugged in',
  () =>
    scene({ kind: 'kamailio' }, async ({ alice, watch, board, broker, gateway }) => {
      await watch();
      // While it still tries ways to publish, Kamailio shows what is taken back as closed for a moment.
      await decided(gateway, 'segments');
      await broker.publish('cold/freezer2', '{"temp": -18.5}');
      await board.write('\nDOOR=open\n');
      await alice.notified((one) => says('door', 'open')(one) && says('freezer', '-18.5 °C')(one));
      const pid = gateway.program.pid;
      const pulled = performance.now();
      await board.unplug();
      const gone = await alice.notified(
        (one) => one.at > pulled && tuplesOf(one.body).get('door')?.basic === 'unknown',
        10_000,
      );
      assert.ok(gone.at - pulled < 5_000, `${gone.at - pulled} ms`);
      const note = tuplesOf(gone.body).get('door')?.note ?? '';
      assert.match(note, /open/);
      assert.not.match(note, /^open$/);
      // The others do not suffer.
      assert.is(tuplesOf(gone.body).get('freezer')?.basic, 'open');

      await board.plug();
      const plugged = performance.now();
      // A board reports when it comes up and goes on; a reading that came too early is lost.
      const speaking = setInterval(() => void board.write('DOOR=shut\n'), 200);
      const back = await alice
        .notified((one) => one.at > plugged && says('door', 'shut')(one), 10_000)
        .finally(() => clearInterval(speaking));
      assert.ok(back.at - plugged < 5_000, `${back.at - plugged} ms`);
      assert.is(gateway.program.pid, pid);
    }),
);

test.needs(
  needs('kamailio'),
  'S43, G20: a lost broker is unknown with the cause, and fresh again after it is back',
  () =>
    scene({ kind: 'kamailio' }, async ({ alice, watch, board, broker, gateway }) => {
      await watch();
      // While it still tries ways to publish, Kamailio shows what is taken back as closed for a moment.
      await decided(gateway, 'segments');
      await broker.publish('cold/freezer2', '{"temp": -18.5}');
      await board.write('\nDOOR=open\n');
      await alice.notified((one) => says('door', 'open')(one) && says('freezer', '-18.5 °C')(one));
      const killed = performance.now();
      await broker.kill();
      const gone = await alice.notified(
        (one) => one.at > killed && tuplesOf(one.body).get('freezer')?.basic === 'unknown',
        10_000,
      );
      assert.match(tuplesOf(gone.body).get('freezer')?.note ?? '', /last known: .*-18\.5/);
      assert.is(tuplesOf(gone.body).get('door')?.basic, 'open');

      await broker.restart();
      const restarted = performance.now();
      const speaking = setInterval(
        () => void broker.publish('cold/freezer2', '{"temp": -18}').catch(() => {}),
        300,
      );
      const back = await alice
        .notified((one) => one.at > restarted && says('freezer', '-18 °C')(one), 15_000)
        .finally(() => clearInterval(speaking));
      assert.is(tuplesOf(back.body).get('freezer')?.basic, 'open');
    }),
);

test.needs(needs('kamailio'), 'G33, G32: a broker that comes late is waited for, and presence says why', () =>
  scene({ kind: 'kamailio', broker: false }, async ({ alice, watch, board, broker, gateway }) => {
    const first = await watch();
    const told = await alice.notified(
      (one) =>
        one.at >= first.at && /plant|broker|refused/i.test(tuplesOf(one.body).get('freezer')?.note ?? ''),
      10_000,
    );
    assert.is(tuplesOf(told.body).get('freezer')?.basic, 'unknown');
    // The serial half works all the same.
    await board.write('\nDOOR=open\n');
    await alice.notified(says('door', 'open'));
    const pid = gateway.program.pid;
    await broker.restart();
    const speaking = setInterval(
      () => void broker.publish('cold/freezer2', '{"temp": -18}').catch(() => {}),
      300,
    );
    await alice.notified(says('freezer', '-18 °C'), 15_000).finally(() => clearInterval(speaking));
    assert.is(gateway.program.pid, pid);
  }),
);

test.needs(needs('kamailio'), 'G22, G23: what the broker only remembered makes nothing reachable', () =>
  scene(
    {
      kind: 'kamailio',
      before: ({ broker }) => broker.publish('cold/freezer2', '{"temp": -18.5}', { retain: true }),
    },
    async ({ alice, watch, broker }) => {
      await watch();
      const told = await alice.notified((one) =>
        /-18\.5/.test(tuplesOf(one.body).get('freezer')?.note ?? ''),
      );
      assert.is(tuplesOf(told.body).get('freezer')?.basic, 'unknown');
      assert.match(tuplesOf(told.body).get('freezer')?.note ?? '', /last known: .*-18\.5/);
      await broker.publish('cold/freezer2', '{"temp": -18.5}');
      await alice.notified(says('freezer', '-18.5 °C'));
    },
  ),
);

test.needs(
  needs('kamailio'),
  'S29: a cut connection is opened again, registered and published within 10 s',
  () =>
    scene({ kind: 'kamailio' }, async ({ alice, watch, broker, tap }) => {
      await watch();
      const before = tap.heard.seen.length;
      const cut = performance.now();
      tap.cut();
      await tap.heard.until(
        (one) => tap.heard.seen.indexOf(one) >= before && one.message.method === 'REGISTER',
        10_000,
      );
      await broker.publish('cold/freezer2', '{"temp": -18.5}');
      const told = await alice.notified(says('freezer', '-18.5 °C'), 10_000);
      assert.ok(told.at - cut < 10_000, `${told.at - cut} ms`);
      const answer = await alice.message(GATEWAY, 'status');
      assert.is(answer.status, 200);
    }),
);

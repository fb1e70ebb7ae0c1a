/** What watchers see when a process of ours ends, politely or not. */
import * as assert from 'uvu/assert';
import { suite } from '../support/harness.ts';
import { header } from '../support/peers/phone-wire.ts';
import { repeatedIds, tuplesOf } from '../support/peers/tuples.ts';
import { XMLLINT, xmllint } from '../support/peers/xmllint.ts';
import { complete, GATEWAY, LAMP, needs, published, saying, says, scene } from './scene.ts';

const test = suite('crash and stop', { timeout: 120_000 });

/** A clean end takes no longer, in milliseconds. */
const STOP_LIMIT = 3_000;

for (const kind of ['kamailio', 'edge'] as const) {
  test.needs(needs(kind), `S4, S3: kill -9 and a new start leave no ghost, ${kind}`, () =>
    scene({ kind }, async ({ alice, watch, broker, gateway, tap }) => {
      await watch();
      await broker.publish('cold/freezer2', '{"temp": -18.5}');
      const before = await alice.notified(says('freezer', '-18.5 °C'), 10_000);
      await gateway.kill();
      const sent = published(tap).length;
      gateway.start();
      // The old state is taken over, or replaced; either way the next reading is the only one that is seen.
      await tap.heard.until(() => published(tap).length > sent, 10_000);
      const after = await saying(
        () => broker.publish('cold/freezer2', '{"temp": -17.5}'),
        () =>
          alice.notified(
            (one) => one.at > before.at && complete(one.body) && says('freezer', '-17.5 °C')(one),
            // Killed amid a write, Kamailio may answer 500 to the first try; the next one comes after 30 s or more.
            60_000,
          ),
      );
      assert.is(tuplesOf(after.body).size, tuplesOf(before.body).size);
      assert.is(tuplesOf(after.body).get('freezer')?.id, tuplesOf(before.body).get('freezer')?.id);

      const told = alice.notifications.length;
      await alice.subscribe(GATEWAY, { expires: 0 });
      const fetched = await alice.notified(
        (one) => alice.notifications.indexOf(one) >= told && one.body !== '',
      );
      assert.is(tuplesOf(fetched.body).get('freezer')?.note, '-17.5 °C');
      assert.equal(repeatedIds(fetched.body), []);
    }),
  );

  test.needs(
    needs(kind),
    `G43, S9: SIGTERM removes publications and registrations within 3 s and exits 0, ${kind}`,
    () =>
      scene({ kind }, async ({ alice, watch, broker, gateway }) => {
        await watch();
        await alice.subscribe(LAMP);
        await broker.publish('cold/freezer2', '{"temp": -18.5}');
        await alice.notified(says('freezer', '-18.5 °C'), 10_000);
        const told = alice.notifications.length;
        const started = performance.now();
        gateway.program.signal('SIGTERM');
        assert.is(await gateway.program.ended, 0);
        const took = performance.now() - started;
        assert.ok(took < STOP_LIMIT, `${took} ms`);
        for (const aor of [GATEWAY, LAMP]) {
          const answer = await alice.message(aor, 'status');
          assert.ok(answer.status === 404 || answer.status === 480, `${aor}: ${answer.first}`);
          await alice.notified(
            (one) =>
              alice.notifications.indexOf(one) >= told &&
              one.aor === aor &&
              [...tuplesOf(one.body).values()].every(({ basic }) => basic === 'closed'),
            10_000,
          );
        }
      }),
  );

  test.needs(
    needs(kind),
    `G41: the server dies and comes back; the agent stays and is seen again, ${kind}`,
    () =>
      scene({ kind }, async ({ alice, watch, broker, gateway, tap, kamailio, edge }) => {
        await watch();
        await broker.publish('cold/freezer2', '{"temp": -18.5}');
        await alice.notified(says('freezer', '-18.5 °C'), 10_000);
        const pid = gateway.program.pid;
        await (kamailio ?? edge)?.kill();
        tap.cut();
        await (kamailio ?? edge)?.restart();
        await broker.publish('cold/freezer2', '{"temp": -17.5}');
        await tap.heard.until(
          ({ direction, message }) => direction === 'out' && message.body.includes('-17.5'),
          30_000,
        );
        assert.is(gateway.program.pid, pid);
      }),
  );
}

test.needs(needs('edge', XMLLINT), "S23, G34: the edge's state survives kill -9", () =>
  scene({ kind: 'edge' }, async ({ watch, broker, edge, alice, phone }) => {
    await watch();
    await broker.publish('cold/freezer2', '{"temp": -18.5}');
    await alice.notified(says('freezer', '-18.5 °C'), 10_000);
    await edge?.kill();
    await edge?.restart();
    // Who asks first gets what was published before, whether or not the agent is back.
    const other = await phone('mallory');
    await other.subscribe(GATEWAY, { expires: 0 });
    const told = await other.notified((one) => one.body !== '');
    assert.ok(complete(told.body), told.body);
    assert.is(tuplesOf(told.body).get('freezer')?.note, '-18.5 °C');
    assert.equal(await xmllint([told.body]), []);
  }),
);

test.needs(needs('kamailio'), 'a killed agent is gone for watchers when its publication runs out', () =>
  scene(
    { kind: 'kamailio', kamailio: { maxExpires: 12, cleanPeriod: 1 } },
    async ({ alice, watch, gateway, tap }) => {
      await watch();
      // The granted lifetime rules, not the one that was asked for: it is refreshed well before twelve seconds are over.
      await tap.heard.until(
        ({ direction, message }) =>
          direction === 'out' &&
          message.method === 'PUBLISH' &&
          message.body === '' &&
          header(message, 'expires') !== '0',
        11_000,
      );
      await gateway.kill();
      // Subscriptions are cut as short, so she asks again and again.
      const end = performance.now() + 18_000;
      for (let body = '?'; body !== ''; ) {
        assert.ok(performance.now() < end, body);
        const told = alice.notifications.length;
        await alice.subscribe(GATEWAY, { expires: 0 });
        body = (await alice.notified((one) => alice.notifications.indexOf(one) >= told)).body;
        if (body !== '') await new Promise((resolve) => setTimeout(resolve, 300));
      }
    },
  ),
);

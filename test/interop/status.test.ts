/** Readings of real sources at a real watcher, through Kamailio and through our own edge. */
import * as assert from 'uvu/assert';
import { suite } from '../support/harness.ts';
import { tuplesOf } from '../support/peers/tuples.ts';
import { XMLLINT, xmllint } from '../support/peers/xmllint.ts';
import { complete, decided, GATEWAY, LAMP, lull, needs, published, says, scene } from './scene.ts';

const test = suite('status', { timeout: 60_000 });

/** From the source to the watcher when nothing was notified for a while, in milliseconds. */
const LIMIT = 1_000;

/** RFC 3856 §6.10: our edge notifies a watcher at most once in this time. */
const LULL = 5_100;

for (const kind of ['kamailio', 'edge'] as const) {
  test.needs(needs(kind), `mosquitto_pub and a byte on the pty reach a watcher within 1 s, ${kind}`, () =>
    scene({ kind, notifyInterval: 5 }, async ({ alice, watch, broker, board }) => {
      await watch();
      const pause = kind === 'edge' ? LULL : 300;

      await lull(alice, pause);
      let sent = performance.now();
      await broker.publish('cold/freezer2', '{"temp": -18.5}');
      let told = await alice.notified(says('freezer', '-18.5 °C'));
      assert.ok(told.at - sent < LIMIT, `MQTT: ${told.at - sent} ms`);
      assert.is(tuplesOf(told.body).get('freezer')?.basic, 'open');

      await lull(alice, pause);
      // The first partial line after opening is dropped, so the last byte of a second line is what is timed.
      await board.write('DOOR=shut\r\nDOOR=open');
      sent = performance.now();
      await board.write('\n');
      told = await alice.notified(says('door', 'open'));
      assert.ok(told.at - sent < LIMIT, `serial: ${told.at - sent} ms`);
    }),
  );

  test.needs(needs(kind), `G21: nothing is open before its first reading, ${kind}`, () =>
    scene({ kind }, async ({ watch, alice, broker }) => {
      const first = await watch();
      for (const [device, tuple] of tuplesOf(first.body)) assert.is(tuple.basic, 'unknown', device);
      // A value that the broker only remembered has no age.
      await broker.publish('cold/freezer2', '{"temp": -30}');
      await alice.notified(says('freezer', '-30 °C'), 10_000);
    }),
  );

  test.needs(needs(kind), `a device with an AOR of its own is a buddy of its own, ${kind}`, () =>
    scene({ kind }, async ({ alice, broker, watch }) => {
      await watch();
      assert.is((await alice.subscribe(LAMP)).status, 200);
      await broker.publish('lamp/state', 'true');
      const told = await alice.notified((one) => one.aor === LAMP && says('lamp', 'on')(one), 10_000);
      assert.match(told.body, /entity="(sip|pres):lamp@test\.local"/);
      assert.match(told.body, /<(\w+:)?busy\s*\/>/);
    }),
  );

  const strategy = kind === 'kamailio' ? 'segments' : 'diff';
  for (const detail of ['lean', 'full'] as const) {
    test.needs(
      needs(kind, XMLLINT),
      `S10: auto ends in ${strategy}, no device is ever missing, every document is valid, ${detail}, ${kind}`,
      () =>
        scene({ kind, detail }, async ({ alice, watch, broker, board, tap, gateway }) => {
          const first = await watch();
          const speak = async (from: number): Promise<void> => {
            for (let turn = from; turn < from + 10; turn += 1) {
              await broker.publish('cold/freezer2', JSON.stringify({ temp: turn - 20 }));
              await board.write(`DOOR=${turn % 2 ? 'open' : 'shut'}\nRELAY=${turn % 3 ? 'on' : 'off'}\n`);
            }
          };
          // The first half comes while the agent still finds out what the server can do: it needs changes to try it on.
          let known = false;
          const speaking = async (): Promise<void> => {
            while (!known) await Promise.all([speak(0), new Promise((resolve) => setTimeout(resolve, 300))]);
          };
          const deciding = decided(gateway, strategy).finally(() => {
            known = true;
          });
          await Promise.all([deciding, speaking()]);
          const settled = published(tap).length;
          await speak(10);
          await alice.notified(
            (one) =>
              says('freezer', 'too warm, -1 °C')(one) &&
              says('door', 'open')(one) &&
              says('relay', 'on')(one),
            15_000,
          );

          const since = alice.notifications.slice(alice.notifications.indexOf(first));
          for (const one of since) if (one.aor === GATEWAY) assert.ok(complete(one.body), one.body);

          const documents = published(tap);
          assert.ok(documents.length > settled, `${documents.length} documents`);
          assert.equal(await xmllint(documents.map(({ body }) => body)), []);
          if (kind === 'edge') assert.equal(await xmllint(since.map(({ body }) => body)), []);
          for (const { contentType, body } of documents.slice(settled)) {
            if (strategy === 'diff') assert.match(contentType, 'pidf-diff');
            else assert.is(tuplesOf(body).size, 1, body);
          }
        }),
    );
  }

  test.needs(needs(kind), `whole documents when asked for, ${kind}`, () =>
    scene({ kind, publish: 'full' }, async ({ alice, watch, broker, tap }) => {
      await watch();
      await broker.publish('cold/freezer2', '{"temp": -18.5}');
      await alice.notified(says('freezer', '-18.5 °C'), 10_000);
      for (const { body } of published(tap)) if (body.includes(GATEWAY)) assert.ok(complete(body), body);
    }),
  );
}

test.needs(needs('kamailio'), 'auto ends in whole documents where it may not read back', () =>
  scene(
    { kind: 'kamailio', kamailio: { mayNotSubscribe: ['gateway7'] } },
    async ({ alice, watch, broker, tap, gateway }) => {
      await watch();
      await broker.publish('cold/freezer2', '{"temp": -18.5}');
      await alice.notified(says('freezer', '-18.5 °C'));
      await decided(gateway, 'full');
      const last = published(tap)
        .filter(({ body }) => body.includes(GATEWAY))
        .at(-1);
      assert.ok(complete(last?.body ?? ''));
    },
  ),
);

test.needs(
  needs('kamailio'),
  'what a watcher was told last is complete, also while every device is unknown',
  () =>
    scene({ kind: 'kamailio' }, async ({ alice, watch, gateway }) => {
      await watch();
      await decided(gateway, 'segments');
      // The agent is done; whatever Kamailio made of the change-over has been said.
      await lull(alice, 1_000);
      assert.ok(complete(alice.notifications.at(-1)?.body ?? ''), alice.notifications.at(-1)?.body);
      for (const [device, { id }] of tuplesOf(alice.notifications.at(-1)?.body ?? ''))
        assert.not.match(id, /\.c$/, device);
    }),
);

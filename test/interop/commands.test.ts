/** A watcher's MESSAGE as a command to real things, through Kamailio and through our own edge. */
import * as assert from 'uvu/assert';
import { suite } from '../support/harness.ts';
import { createPhone, type Phone } from '../support/peers/phone.ts';
import { ALICE, GATEWAY, LAMP, needs, scene } from './scene.ts';

const test = suite('commands', { timeout: 40_000 });

for (const kind of ['kamailio', 'edge'] as const) {
  test.needs(needs(kind), `set reaches the pty and is answered with the value read back, ${kind}`, () =>
    scene({ kind }, async ({ alice, watch, board }) => {
      await watch();
      await board.write('\nRELAY=off\n');
      assert.is((await alice.message(GATEWAY, 'set relay on on')).status, 200);
      await board.hears(/RELAY=on\n/);
      await board.write('RELAY=on\n');
      const answer = await alice.chatted((one) => /\bon\b/.test(one.text));
      assert.is(answer.from, GATEWAY);
      assert.is(answer.contentType?.split(';')[0], 'text/plain');
      assert.is(board.heard().split('RELAY=on').length, 2);
    }),
  );

  test.needs(needs(kind), `set reaches the topic, said to the device's own AOR, ${kind}`, () =>
    scene({ kind }, async ({ alice, watch, broker }) => {
      await watch();
      const heard = await broker.subscribe('lamp/set');
      assert.is((await alice.message(LAMP, 'set on true')).status, 200);
      await heard.line(/^lamp\/set true$/);
      await broker.publish('lamp/state', 'true');
      const answer = await alice.chatted((one) => one.text.includes('true'));
      assert.is(answer.from, LAMP);
      await heard.stop();
    }),
  );

  test.needs(needs(kind), `status, get and help are answered in at most 1300 bytes, ${kind}`, () =>
    scene({ kind }, async ({ alice, watch, broker, tap }) => {
      await watch();
      await broker.publish('cold/freezer2', '{"temp": -18.5}');
      for (const text of ['status', 'get freezer', 'get freezer temperature', 'help']) {
        const told = alice.chats.length;
        assert.is((await alice.message(GATEWAY, text)).status, 200);
        await alice.chatted((one) => alice.chats.indexOf(one) >= told);
      }
      assert.ok(alice.chats.some(({ text }) => text.includes('-18.5')));
      const said = tap.heard.seen.filter(
        ({ direction, message }) => direction === 'out' && message.method === 'MESSAGE',
      );
      assert.ok(said.length >= 4);
      for (const { bytes } of said) assert.ok(bytes <= 1300, `${bytes} bytes`);
    }),
  );

  test.needs(needs(kind), `who is not on the list is refused and moves nothing, ${kind}`, () =>
    scene({ kind }, async ({ watch, board, phone, alice }) => {
      await watch();
      const mallory = await phone('mallory');
      const forged = { headers: [`P-Asserted-Identity: <${ALICE}>`] };
      const answer = await mallory.message(GATEWAY, 'set relay on on', forged);
      assert.is(answer.status, 403);
      // What alice sends afterwards comes through, and it is the first thing that the board hears.
      await alice.message(GATEWAY, 'set relay on off');
      await board.hears(/RELAY=off\n/);
      assert.not.match(board.heard(), 'RELAY=on');
    }),
  );

  test.needs(needs(kind), `S36: the same MESSAGE after a restart is not executed again, ${kind}`, () =>
    scene({ kind }, async ({ alice, watch, board, gateway, tap }) => {
      await watch();
      // Once challenged, the phone carries credentials at once and does not count CSeq up for a second try.
      await alice.message(GATEWAY, 'help');
      const same = { callId: 'once@phone', cseq: 7 };
      assert.is((await alice.message(GATEWAY, 'set relay on on', same)).status, 200);
      await board.hears(/RELAY=on\n/);
      await gateway.kill();
      const before = tap.heard.seen.length;
      gateway.start();
      await tap.heard.until(
        (one) =>
          tap.heard.seen.indexOf(one) >= before &&
          one.direction === 'out' &&
          one.message.method === 'PUBLISH',
        10_000,
      );
      // Refused or swallowed, as the agent likes, but not executed.
      await alice.message(GATEWAY, 'set relay on on', same);
      await alice.message(GATEWAY, 'set relay on off');
      await board.hears(/RELAY=off\n/);
      assert.is(board.heard().split('RELAY=on').length, 2, board.heard());
    }),
  );
}

test.needs(
  needs('kamailio'),
  'a sender who comes past the server gets no further than a challenge or 403',
  () =>
    scene({ kind: 'kamailio' }, async ({ watch, tap, board, alice }) => {
      await watch();
      // The agent speaks TCP to its proxy and listens nowhere; what it has in its Contact cannot be called.
      const register = tap.heard.seen.find(({ message }) => message.method === 'REGISTER');
      const contact = register?.message.headers.find(([name]) => name === 'contact')?.[1] ?? '';
      const port = Number(/@[^:;>]+:(\d+)/.exec(contact)?.[1] ?? 0);
      assert.ok(port > 0, contact);
      for (const protocol of ['udp', 'tcp'] as const) {
        let stranger: Phone | undefined;
        try {
          stranger = await createPhone({
            user: 'alice',
            password: 'x',
            domain: 'test.local',
            port,
            protocol,
          });
          const answer = await stranger.message(GATEWAY, 'set relay on on', {
            headers: [`P-Asserted-Identity: <${ALICE}>`],
          });
          assert.ok(answer.status === 401 || answer.status === 403 || answer.status === 407, answer.first);
        } catch (error) {
          assert.match(String(error), /ECONNREFUSED|not within/);
        } finally {
          stranger?.close();
        }
      }
      await alice.message(GATEWAY, 'set relay on off');
      await board.hears(/RELAY=off\n/);
      assert.not.match(board.heard(), 'RELAY=on');
    }),
);

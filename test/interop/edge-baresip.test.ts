/** The edge with a softphone that people use: it sees a device as a buddy and chats with it. */
import * as assert from 'uvu/assert';
import { suite } from '../support/harness.ts';
import { BARESIP, startBaresip } from '../support/peers/baresip.ts';
import { createPhone } from '../support/peers/phone.ts';
import { header } from '../support/peers/phone-wire.ts';
import { DOMAIN, tuple, withEdge } from './edge-scene.ts';

const test = suite('edge and baresip', { timeout: 60_000 });

for (const protocol of ['udp', 'tcp'] as const) {
  test.needs([BARESIP], `a phone sees a device come and go, and chats with it, ${protocol}`, () =>
    withEdge(
      async ({ port, edge }) => {
        const lamp = `sip:lamp-7@${DOMAIN}`;
        const gateway = await createPhone({ user: 'gateway7', password: 'secret', domain: DOMAIN, port });
        const phone = await startBaresip({
          user: 'alice',
          password: 'secret',
          domain: DOMAIN,
          port,
          protocol,
          buddies: { gateway: `sip:gateway7@${DOMAIN}`, lamp },
        });
        try {
          await phone.program.line(/200 OK .*\[1 binding\]/);
          assert.is((await gateway.register()).status, 200);

          await phone.shows('lamp', 'Offline');
          const initial = await gateway.publish(tuple('lamp', 'open', 'on', lamp), { aor: lamp });
          assert.is(initial.status, 200);
          await phone.shows('lamp', 'Online');
          const tag = header(initial, 'sip-etag') ?? '';
          const closed = await gateway.publish(tuple('lamp', 'closed', 'gone', lamp), { aor: lamp, tag });
          assert.is(closed.status, 200);
          await phone.shows('lamp', 'Offline');

          await phone.say('status');
          const chat = await gateway.chatted((one) => one.text === 'status');
          assert.is(header(chat.message, 'p-asserted-identity'), `<sip:alice@${DOMAIN}>`);
          const answer = await gateway.message(`sip:alice@${DOMAIN}`, 'lamp is on');
          assert.is(answer.status, 200);
          await phone.program.line(/lamp is on/);
          assert.is(edge.counts()['subscription.subscriptions'], 2);
        } finally {
          gateway.close();
          await phone.stop();
        }
      },
      { notifyInterval: 500 },
    ),
  );
}

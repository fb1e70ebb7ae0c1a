/** A subscription of tiny-sip whose notifier is SIPp. */

import {
  createStack,
  createSubscription,
  createUdpTransport,
  type EventDeps,
  type SubscriptionState,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createSystemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createSystemRandom } from '../../src/base/random.ts';
import { suite } from '../support/harness.ts';
import { SIPP, startSipp } from '../support/peers/sipp.ts';
import { watched } from '../support/peers/watched.ts';
import { scenario, send } from './sipp-scenario.ts';

const test = suite('a subscription at sipp', { timeout: 30_000 });

// SIPp is the notifier: it ends the subscription and then speaks up once more.
const LATE_NOTIFIER = scenario(
  `<recv request="SUBSCRIBE"><action>
     <ereg regexp="[^:]*$" search_in="hdr" header="Call-ID:" assign_to="callid"/>
     <ereg regexp="&lt;(sip:[^&gt;]*)&gt;" search_in="hdr" header="Contact:" assign_to="all,contact"/>
     <ereg regexp="tag=([^;]*)" search_in="hdr" header="From:" assign_to="allfrom,tag"/>
   </action></recv>
   <Reference variables="callid,all,allfrom"/>`,
  send([
    'SIP/2.0 200 OK',
    '[last_Via:]',
    '[last_From:]',
    '[last_To:];tag=notifier',
    '[last_Call-ID:]',
    '[last_CSeq:]',
    'Contact: <sip:sipp@[local_ip]:[local_port]>',
    'Expires: 60',
  ]),
  notify(1, 'active;expires=60'),
  '<recv response="200"/>',
  notify(2, 'terminated;reason=noresource'),
  '<recv response="200"/>',
  notify(3, 'active;expires=60'),
  '<recv response="481"/>',
);

function notify(cseq: number, state: string): string {
  return send([
    'NOTIFY [$contact] SIP/2.0',
    `Via: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch=z9hG4bK-[call_id]-${cseq}`,
    'Max-Forwards: 70',
    'From: <sip:sipp@test.local>;tag=notifier',
    'To: <sip:gateway7@test.local>;tag=[$tag]',
    'Call-ID: [call_id]',
    `CSeq: ${cseq} NOTIFY`,
    'Contact: <sip:sipp@[local_ip]:[local_port]>',
    'Event: presence',
    `Subscription-State: ${state}`,
  ]);
}

test.needs([SIPP], 'S22: a NOTIFY after the subscription ended gets 481 and nothing else happens', () =>
  scene(async (deps) => {
    const sipp = await startSipp({ scenario: LATE_NOTIFIER, limit: 10_000 });
    const notified: string[] = [];
    const states = watched<SubscriptionState['kind']>();
    const subscription = createSubscription(deps, {
      resource: `sip:sipp@127.0.0.1:${sipp.port}`,
      from: 'sip:gateway7@test.local',
      way: () => ({ target: { protocol: 'udp', host: '127.0.0.1', port: sipp.port, name: '127.0.0.1' } }),
      onNotify: (notify) => {
        notified.push(notify.state);
        return undefined;
      },
      onState: (state) => states.add(state.kind),
    });
    subscription.start();
    await sipp.done;
    assert.equal(notified, ['active', 'terminated']);
    assert.is(states.seen.filter((kind) => kind === 'active').length, 1, states.seen.join(' '));
    subscription.stop();
  }),
);

async function scene(body: (deps: EventDeps) => Promise<void>): Promise<void> {
  const deps = { clock: createSystemClock(), random: createSystemRandom(), log: silentLog };
  const stack = createStack(deps, { transports: [createUdpTransport(deps, { host: '127.0.0.1', port: 0 })] });
  await stack.start();
  try {
    await body({ ...deps, stack });
  } finally {
    await stack.stop();
  }
}

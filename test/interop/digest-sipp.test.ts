/** The digest server of tiny-sip with SIPp as client: auth-int over bodies, and rspauth. */
import { createDigestServer, createStack, createUdpTransport, parseChallenge } from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createSystemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createSystemRandom } from '../../src/base/random.ts';
import { suite } from '../support/harness.ts';
import { SIPP, startSipp } from '../support/peers/sipp.ts';
import { request, scenario } from './sipp-scenario.ts';

const test = suite('digest server and sipp', { timeout: 30_000 });

// sipp                               stack
//  |--MESSAGE------------------------->|
//  |<----401 qop="auth,auth-int"-------|
//  |--MESSAGE qop=auth-int------------>|  the body is covered
//  |<----200 Authentication-Info-------|
test.needs(
  [SIPP],
  'RFC 7616: SIPp answers our challenge with auth-int, and is shown that we know the password',
  async () => {
    const deps = { clock: createSystemClock(), random: createSystemRandom(), log: silentLog };
    const udp = createUdpTransport(deps, { host: '127.0.0.1', port: 0 });
    const stack = createStack(deps, { transports: [udp] });
    const digest = createDigestServer(deps, {
      realm: 'test.local',
      // SIPp knows MD5 alone, and leaves the user out of its digest-uri.
      algorithms: ['MD5'],
      covers: () => true,
      integrity: true,
      mutual: true,
      lookup: (user) => (user === 'sipp' ? { password: 'secret' } : undefined),
    });
    const seen: string[] = [];
    stack.on('MESSAGE', (incoming) => {
      const verdict = digest.check(incoming.request);
      const line = incoming.request.get('Authorization');
      if (line !== undefined) seen.push(`${parseChallenge(line).params.get('qop')} ${verdict.ok}`);
      if (verdict.ok) incoming.respond(200, { headers: verdict.headers });
      else incoming.respond(verdict.status, { headers: verdict.headers });
    });
    await stack.start();
    try {
      const credentials = '[authentication username=sipp password=secret]';
      const type = 'Content-Type: text/plain';
      const sipp = await startSipp({
        scenario: scenario(
          request('MESSAGE', 'z9hG4bK[call_id]a', [type], 'status'),
          '<recv response="401" auth="true"/>',
          request('MESSAGE', 'z9hG4bK[call_id]b', [type, credentials], 'status').replace(
            'CSeq: 1',
            'CSeq: 2',
          ),
          '<recv response="200"><action><ereg regexp="rspauth=" search_in="hdr" header="Authentication-Info:" check_it="true" assign_to="x"/></action></recv>',
          '<Reference variables="x"/>',
        ),
        remote: `127.0.0.1:${udp.local.port}`,
        calls: 20,
      });
      await sipp.done;
      assert.is(seen.length, 20);
      assert.equal([...new Set(seen)], ['auth-int true']);
    } finally {
      await stack.stop();
    }
  },
);

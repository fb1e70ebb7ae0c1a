/** tiny-sip against Kamailio over real sockets: every machine of it does its work once, over UDP and over TCP. */

import {
  createDigestClient,
  createPublication,
  createRegistration,
  createRequest,
  createStack,
  createSubscription,
  createTcpTransport,
  createUdpTransport,
  type EventDeps,
  type Flow,
  type Registration,
  type RegistrationState,
  type Stack,
  type Subscription,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createSystemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createSystemRandom } from '../../src/base/random.ts';
import { suite } from '../support/harness.ts';
import { type Kamailio, type KamailioOptions, startKamailio } from '../support/peers/kamailio.ts';
import { createPhone, type Phone } from '../support/peers/phone.ts';
import { header } from '../support/peers/phone-wire.ts';
import { within } from '../support/peers/program.ts';
import { watched } from '../support/peers/watched.ts';
import { xmllint } from '../support/peers/xmllint.ts';

const test = suite('tiny-sip and kamailio', { timeout: 20_000 });
const NEEDS = ['kamailio'];
const GATEWAY = 'sip:gateway7@test.local';
const ALICE = 'sip:alice@test.local';

interface Scene {
  kamailio: Kamailio;
  stack: Stack;
  deps: EventDeps;
  flow: Flow;
  credentials: ReturnType<typeof createDigestClient>;
  alice: Phone;
  /** Starts a registration and waits until it is registered. */
  registered(): Promise<{
    registration: Registration;
    state: Extract<RegistrationState, { kind: 'registered' }>;
  }>;
}

async function scene(
  options: KamailioOptions & { protocol: 'udp' | 'tcp' },
  body: (scene: Scene) => Promise<void>,
): Promise<void> {
  const { protocol, ...settings } = options;
  const kamailio = await startKamailio(settings);
  const clock = createSystemClock();
  const random = createSystemRandom();
  const log = silentLog;
  const transport =
    protocol === 'udp'
      ? createUdpTransport({ clock, log }, { host: '127.0.0.1', port: 0 })
      : createTcpTransport({ clock, log, random }, { listen: false });
  const stack = createStack(
    { clock, random, log },
    { transports: [transport], userAgent: 'test', compact: true },
  );
  await stack.start();
  const deps = { stack, clock, random, log };
  const flow = stack.flow({ protocol, host: '127.0.0.1', port: kamailio.port, name: kamailio.domain });
  const credentials = createDigestClient({ random }, { username: 'gateway7', password: 'pump' });
  const alice = await createPhone({
    user: 'alice',
    password: 'wonder',
    domain: kamailio.domain,
    port: kamailio.port,
    protocol,
  });
  const machines: { stop(): void }[] = [];
  try {
    await body({
      kamailio,
      stack,
      deps,
      flow,
      credentials,
      alice,
      registered: () =>
        within(
          new Promise((resolve, reject) => {
            const registration = createRegistration(deps, {
              aor: GATEWAY,
              way: () => ({ flow }),
              credentials,
              instance: 'urn:uuid:00000000-0000-1000-8000-000000000007',
              onState(state) {
                if (state.kind === 'registered') resolve({ registration, state });
                if (state.kind === 'refused' || state.kind === 'waiting')
                  reject(new Error(JSON.stringify(state.cause)));
              },
            });
            machines.push(registration);
            registration.start();
          }),
          5_000,
          'the registration',
        ),
    });
  } finally {
    for (const machine of machines) machine.stop();
    alice.close();
    await stack.stop();
    await kamailio.stop();
  }
}

function document(note: string): string {
  return (
    `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${GATEWAY}"><tuple id="t1">` +
    `<status><basic>open</basic></status><note>${note}</note></tuple></presence>`
  );
}

for (const protocol of ['udp', 'tcp'] as const) {
  for (const algorithm of ['MD5', 'SHA-256'] as const) {
    test.needs(NEEDS, `registers by ${algorithm}, chats both ways and de-registers, ${protocol}`, () =>
      scene({ protocol, algorithm }, async ({ stack, flow, alice, credentials, registered }) => {
        const heard = new Promise<string>((resolve) => {
          stack.on('MESSAGE', (incoming) => {
            incoming.respond(200);
            const { request } = incoming;
            resolve(`${request.get('P-Asserted-Identity')} ${request.text()} by ${incoming.flow === flow}`);
          });
        });
        const { registration, state } = await registered();
        assert.is(state.kind, 'registered');
        assert.is(state.flow, flow);

        assert.is((await alice.register()).status, 200);
        assert.is((await alice.message(GATEWAY, 'status')).status, 200);
        assert.is(await within(heard, 2_000, 'the message'), `<${ALICE}> status by true`);

        const answer = await stack.send(
          createRequest({
            method: 'MESSAGE',
            uri: ALICE,
            headers: { From: `<${GATEWAY}>`, To: `<${ALICE}>`, 'Content-Type': 'text/plain' },
            body: 'all well, 21 °C',
          }),
          { flow, credentials },
        );
        assert.is(answer.kind === 'response' && answer.response.status, 200);
        await alice.chatted((one) => one.text === 'all well, 21 °C');

        await within(registration.remove(), 2_000, 'the de-registration');
        assert.is((await alice.message(GATEWAY, 'status')).status, 404);
      }),
    );
  }

  test.needs(NEEDS, `publishes, modifies, refreshes and removes, ${protocol}`, () =>
    scene({ protocol }, async ({ kamailio, deps, flow, credentials, alice }) => {
      await alice.subscribe(GATEWAY);
      let note = 'minus 18';
      const published = watched<string>();
      const refreshed = watched<string>();
      const publication = createPublication(deps, {
        aor: GATEWAY,
        way: () => ({ flow }),
        credentials,
        body: () => ({ contentType: 'application/pidf+xml', content: document(note), token: note }),
        accepted: (token, info) => published.add(`${token} ${info.expires}`),
        refreshed: (info) => refreshed.add(info.tag),
      });
      publication.changed();
      await published.until((one) => one === 'minus 18 120');
      await alice.notified((one) => one.body.includes('minus 18'));
      const first = publication.tag;
      assert.ok(first);

      note = 'minus 17';
      publication.changed();
      await published.until((one) => one === 'minus 17 120');
      await alice.notified((one) => one.body.includes('minus 17'));
      assert.is.not(publication.tag, first);

      const second = publication.tag;
      publication.refresh();
      await refreshed.until((one) => one !== second);
      // S9: a refresh carries no body and is small.
      const refresh = await kamailio.traced.until(
        ({ text }) => text.startsWith('PUBLISH') && text.endsWith('\r\n\r\n'),
      );
      assert.ok(refresh.text.length < 600, `${refresh.text.length} bytes`);

      const told = alice.notifications.length;
      await within(publication.remove(), 2_000, 'the removal');
      assert.is(publication.state.kind, 'removed');
      await alice.notified((one) => alice.notifications.indexOf(one) >= told && /closed|^$/.test(one.body));
    }),
  );

  test.needs(
    NEEDS,
    `S1: gets over a tag that the server forgot with one fresh publication, ${protocol}`,
    () =>
      scene({ protocol }, async ({ kamailio, deps, flow, credentials }) => {
        const published = watched<string>();
        const publication = createPublication(deps, {
          aor: GATEWAY,
          way: () => ({ flow }),
          credentials,
          stored: {
            tag: `a.${Math.floor(Date.now() / 1000) - 60}.${process.pid}.1.0`,
            expiresAt: deps.clock.now() + 60_000,
          },
          body: (kind) => ({ contentType: 'application/pidf+xml', content: document(kind), token: kind }),
          accepted: (token) => published.add(String(token)),
        });
        publication.changed();
        await published.until((one) => one === 'initial');
        await kamailio.traced.until(({ text }) => /^PUBLISH/.test(text) && !/^SIP-If-Match/im.test(text));
        const sent = kamailio.traced.seen.filter((one) => one.text.startsWith('PUBLISH'));
        assert.ok(sent.length <= 4, `${sent.length} PUBLISH`);
        assert.match(sent[0]?.text ?? '', /^SIP-If-Match: ?a\./im);
        assert.not.match(sent.at(-1)?.text ?? '', /^SIP-If-Match/im);
        publication.stop();
      }),
  );

  test.needs(NEEDS, `S17: a nonce that Kamailio lets run out costs one more try, no more, ${protocol}`, () =>
    scene({ protocol, nonceExpire: 3 }, async ({ kamailio, deps, flow, credentials }) => {
      const published = watched<string>();
      let turn = 0;
      const publication = createPublication(deps, {
        aor: GATEWAY,
        way: () => ({ flow }),
        credentials,
        body: () => ({ contentType: 'application/pidf+xml', content: document(`${turn}`), token: turn }),
        accepted: (token) => published.add(String(token)),
      });
      publication.changed();
      await published.until((one) => one === '0');
      // The nonce holds the wall-clock second of the server; nothing but time makes it stale. It lives long enough for the
      // second try to come in time on a busy machine.
      await new Promise((resolve) => setTimeout(resolve, 4_200));
      turn = 1;
      publication.changed();
      await published.until((one) => one === '1');
      await kamailio.traced.until(({ text }) => text.includes('<note>1</note>'));
      publication.stop();
      // By CSeq: a slow answer brings a retransmission, which is the same request. By body: the log may lag behind.
      const sent = kamailio.traced.seen
        .filter(({ text }) => text.includes('<note>1</note>'))
        .map(({ text }) => /^(?:CSeq): *(\d+)/im.exec(text)?.[1]);
      assert.ok(new Set(sent).size <= 2, `requests ${sent.join(', ')}`);
    }),
  );

  test.needs([...NEEDS, 'xmllint'], `subscribes, is notified, fetches and unsubscribes, ${protocol}`, () =>
    scene({ protocol }, async ({ deps, flow, credentials, alice }) => {
      const heard = watched<string>();
      const states: string[] = [];
      const subscription: Subscription = createSubscription(deps, {
        resource: ALICE,
        from: GATEWAY,
        accept: ['application/pidf+xml'],
        way: () => ({ flow }),
        credentials,
        onNotify: (notify) => {
          heard.add(notify.body.toString());
          return undefined;
        },
        onState: (state) => states.push(state.kind),
      });
      subscription.start();
      // Nothing published yet: a NOTIFY without a body.
      await heard.until((one) => one === '');
      const published = await alice.publish(document('at her desk').replace(GATEWAY, ALICE));
      const told = await heard.until((one) => one.includes('at her desk'));
      assert.equal(await xmllint([told]), []);
      await alice.publish(document('out').replace(GATEWAY, ALICE), {
        tag: header(published, 'sip-etag') ?? '',
      });
      await heard.until((one) => one.includes('>out<'));
      assert.ok(states.includes('active'), states.join(' '));

      const fetched = watched<string>();
      const fetch = createSubscription(deps, {
        resource: ALICE,
        from: GATEWAY,
        expires: 0,
        way: () => ({ flow }),
        credentials,
        onNotify: (notify) => {
          fetched.add(notify.body.toString());
          return undefined;
        },
      });
      fetch.start();
      await fetched.until((one) => one.includes('>out<'));

      await within(subscription.unsubscribe(), 3_000, 'the end of the subscription');
      assert.is(subscription.state.kind, 'terminated');
      fetch.stop();
    }),
  );
}

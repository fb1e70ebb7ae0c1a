/** tiny-sip over TLS against programs that are not ours: Kamailio both ways, and OpenSSL for versions and certificates. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createDigestClient,
  createPublication,
  createRegistration,
  createRequest,
  createStack,
  createTlsTransport,
  createUdpTransport,
  type Registered,
  type Stack,
  type Target,
  type TlsOptions,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createSystemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { createSystemRandom } from '../../src/base/random.ts';
import { createAuthority, type Issued } from '../support/certificates.ts';
import { suite } from '../support/harness.ts';
import { freePort } from '../support/peers/free-port.ts';
import { type Kamailio, startKamailio } from '../support/peers/kamailio.ts';
import { createPhone } from '../support/peers/phone.ts';
import { type Program, startProgram, within } from '../support/peers/program.ts';
import { watched } from '../support/peers/watched.ts';

const test = suite('tiny-sip by tls among others', { timeout: 30_000 });
const clock = createSystemClock();
const random = createSystemRandom();
const log = silentLog;
const GATEWAY = 'sip:gateway7@test.local';
const ALICE = 'sip:alice@test.local';
const authority = createAuthority('Interop Authority');
const ca = authority.cert;

async function stackOn(options: Partial<TlsOptions>): Promise<Stack> {
  const transport = createTlsTransport({ clock, log, random }, {
    listen: false,
    ca,
    ...options,
  } as TlsOptions);
  const stack = createStack({ clock, random, log }, { transports: [transport], compact: true });
  await stack.start();
  return stack;
}

const code = (error: unknown): unknown => (error as { code?: unknown } | undefined)?.code;

async function withKamailio(
  clients: boolean,
  body: (kamailio: Kamailio, target: Target) => Promise<void>,
): Promise<void> {
  const own = authority.issue({ uris: ['sip:test.local'] });
  const kamailio = await startKamailio({ tls: { cert: own.cert, key: own.key, ca, clients } });
  try {
    await body(kamailio, { protocol: 'tls', host: '127.0.0.1', port: kamailio.tlsPort, name: 'test.local' });
  } finally {
    await kamailio.stop();
  }
}

for (const clients of [false, true])
  test.needs(
    ['kamailio'],
    `Kamailio by TLS${clients ? ' that insists on a certificate' : ''}: registers, chats both ways, publishes`,
    () =>
      withKamailio(clients, async (kamailio, target) => {
        const identity = clients
          ? authority.issue({ uris: [GATEWAY], dns: ['gateway7.test.local'] })
          : undefined;
        const stack = await stackOn({ identity });
        const deps = { stack, clock, random, log };
        const credentials = createDigestClient({ random }, { username: 'gateway7', password: 'pump' });
        const alice = await createPhone({
          user: 'alice',
          password: 'wonder',
          domain: kamailio.domain,
          port: kamailio.port,
          protocol: 'tcp',
        });
        const flow = stack.flow(target);
        const way = () => ({ flow });
        const machines: { stop(): void }[] = [];
        const instance = 'urn:uuid:00000000-0000-1000-8000-000000000007';
        try {
          const heard = watched<string>();
          stack.on('MESSAGE', (incoming) => {
            incoming.respond(200);
            heard.add(`${incoming.request.text()} by ${incoming.flow === flow}`);
          });
          const registered = await within(
            new Promise<Registered>((resolve, reject) => {
              const onState = (state: Parameters<NonNullable<typeof options.onState>>[0]): void => {
                if (state.kind === 'registered') resolve(state);
                if (state.kind === 'refused' || state.kind === 'waiting')
                  reject(new Error(JSON.stringify(state.cause)));
              };
              const options: Parameters<typeof createRegistration>[1] = {
                aor: GATEWAY,
                way,
                credentials,
                instance,
                onState,
              };
              const registration = createRegistration(deps, options);
              machines.push(registration);
              registration.start();
            }),
            5_000,
            'the registration',
          );
          assert.is(registered.flow, flow);
          assert.equal(flow.peer?.names, ['test.local']);
          assert.is(flow.peer?.version, 'TLSv1.3');

          assert.is((await alice.register()).status, 200);
          assert.is((await alice.message(GATEWAY, 'status')).status, 200);
          await heard.until((one) => one === 'status by true');
          const body = 'all well, 21 °C '.repeat(500);
          const headers = { From: `<${GATEWAY}>`, To: `<${ALICE}>`, 'Content-Type': 'text/plain' };
          const answer = await stack.send(createRequest({ method: 'MESSAGE', uri: ALICE, headers, body }), {
            flow,
            credentials,
          });
          assert.is(answer.kind === 'response' && answer.response.status, 200);
          await alice.chatted((one) => one.text === body);

          await alice.subscribe(GATEWAY);
          const publication = createPublication(deps, {
            aor: GATEWAY,
            way,
            credentials,
            body: () => ({
              contentType: 'application/pidf+xml',
              content: `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${GATEWAY}"><tuple id="t1"><status><basic>open</basic></status><note>minus 18</note></tuple></presence>`,
              token: 1,
            }),
          });
          machines.push(publication);
          publication.changed();
          await alice.notified((one) => one.body.includes('minus 18'));
          await within(publication.remove(), 3_000, 'the removal');
          assert.is(publication.state.kind, 'removed');
          assert.is(stack.counts()['tls.flows'], 1, 'all of it by one connection');
        } finally {
          for (const machine of machines) machine.stop();
          alice.close();
          await stack.stop();
        }
      }),
  );

test.needs(
  ['kamailio'],
  'Kamailio by TLS: another domain, another authority, and no certificate where one is wanted',
  () =>
    withKamailio(true, async (_kamailio, target) => {
      const bob = authority.issue({ dns: ['bob.example'] });
      const ask = async (options: Partial<TlsOptions>, name: string): Promise<unknown> => {
        const stack = await stackOn(options);
        const giveUp = new AbortController();
        const outcome = await stack.send(createRequest({ method: 'OPTIONS', uri: 'sip:test.local' }), {
          target: { ...target, name },
          signal: giveUp.signal,
        });
        await stack.stop();
        if (outcome.kind === 'failed') return code(outcome.error);
        return outcome.kind === 'response' ? outcome.response.status : outcome.kind;
      };
      assert.type(await ask({ identity: bob }, 'test.local'), 'number');
      assert.is(await ask({ identity: bob }, 'other.local'), 'SIP_CERTIFICATE_NAME');
      assert.is(
        await ask({ identity: bob, ca: createAuthority('Other').cert }, 'test.local'),
        'SIP_CERTIFICATE_UNTRUSTED',
      );
      const refused = await ask({}, 'test.local');
      assert.ok(refused === 'SIP_FLOW_CLOSED' || refused === 'SIP_FLOW_REFUSED', String(refused));
    }),
);

test.needs(
  ['kamailio'],
  'S30: Kamailio answers STUN on its SIP port, and a flow is kept open by it',
  async () => {
    const kamailio = await startKamailio({ stun: true });
    const transport = createUdpTransport({ clock, log, random }, { host: '127.0.0.1', port: 0 });
    const stack = createStack({ clock, random, log }, { transports: [transport] });
    await stack.start();
    try {
      const flow = stack.flow({
        protocol: 'udp',
        host: '127.0.0.1',
        port: kamailio.port,
        name: 'test.local',
      });
      flow.keepAlive({ interval: 1_000, pong: 3_000, stun: true });
      const end = performance.now() + 10_000;
      while ((transport.counts().stun ?? 0) < 3 && performance.now() < end)
        await new Promise((resolve) => setTimeout(resolve, 100));
      assert.ok((transport.counts().stun ?? 0) >= 3, 'three answers');
      assert.is(flow.state, 'open');
      await kamailio.kill();
      await within(
        new Promise<void>((resolve) => void flow.onClose(() => resolve())),
        10_000,
        'the end of the flow',
      );
    } finally {
      await stack.stop();
      await kamailio.stop();
    }
  },
);

/** PEM files of an identity in a directory of their own. */
function files(identity: Issued): { cert: string; key: string; ca: string; remove(): void } {
  const home = mkdtempSync(join(tmpdir(), 'presentity-tls-'));
  const put = (name: string, text: string): string => {
    const path = join(home, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  return {
    cert: put('cert.pem', identity.cert),
    key: put('key.pem', identity.key),
    ca: put('ca.pem', ca),
    remove: () => rmSync(home, { recursive: true, force: true }),
  };
}

const REQUEST = [
  'OPTIONS sip:example.com SIP/2.0',
  'Via: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bKopenssl',
  'Max-Forwards: 70',
  'From: <sip:a@example.com>;tag=1',
  'To: <sip:example.com>',
  'Call-ID: openssl',
  'CSeq: 1 OPTIONS',
  'Content-Length: 0',
  '',
  '',
].join('\r\n');

test.needs(['openssl'], 'openssl s_client: TLS 1.2 and 1.3 are spoken, 1.1 and 1.0 are refused', async () => {
  const transport = createTlsTransport(
    { clock, log, random },
    { host: '127.0.0.1', port: 0, identity: authority.issue({ dns: ['example.com'] }) },
  );
  const stack = createStack({ clock, random, log }, { transports: [transport] });
  await stack.start();
  const pem = files(authority.issue({ dns: ['client.example'] }));
  const dial = (...args: readonly string[]): Program =>
    startProgram({
      command: 'openssl',
      args: [
        's_client',
        ...['-connect', `127.0.0.1:${transport.local.port}`, '-servername', 'example.com'],
        ...['-CAfile', pem.ca, '-verify_return_error', '-quiet', ...args],
      ],
    });
  try {
    for (const version of ['-tls1_2', '-tls1_3']) {
      const client = dial(version);
      client.write(REQUEST);
      await client.line(/^SIP\/2\.0 200 /);
      await client.stop();
    }
    const before = transport.counts().messages;
    for (const version of ['-tls1', '-tls1_1']) {
      // The client's own security level would not let it ask.
      const client = dial(version, '-cipher', 'ALL:@SECLEVEL=0');
      client.write(REQUEST);
      assert.is.not(await client.ended, 0);
    }
    assert.is(transport.counts().messages, before);
    assert.is(transport.counts().failedHandshakes, 2);
  } finally {
    await stack.stop();
    pem.remove();
  }
});

test.needs(['openssl'], 'openssl s_server: 1.2 and 1.3 with a certificate of ours, 1.1 refused', async () => {
  const pem = files(authority.issue({ dns: ['example.com'] }));
  const identity = authority.issue({ cn: 'gateway7', dns: ['client.example'] });
  try {
    for (const [args, accepted] of [
      [['-tls1_2'], true],
      [['-tls1_3'], true],
      [['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'], false],
    ] as const) {
      const port = await freePort();
      const server = startProgram({
        command: 'openssl',
        args: [
          's_server',
          ...['-accept', `127.0.0.1:${port}`, '-cert', pem.cert, '-key', pem.key, '-CAfile', pem.ca],
          ...['-Verify', '2', '-verify_return_error', ...args],
        ],
      });
      const stack = await stackOn({ identity });
      try {
        await server.line(/^ACCEPT/);
        const flow = stack.flow({ protocol: 'tls', host: '127.0.0.1', port, name: 'example.com' });
        const ready = await flow.ready().then(
          () => true,
          () => false,
        );
        assert.is(ready, accepted, args.join(' '));
        if (!accepted) continue;
        await flow.send(Buffer.from(REQUEST));
        await server.line(/^OPTIONS sip:example\.com SIP\/2\.0/);
        await server.line(/CN ?= ?gateway7/);
      } finally {
        await stack.stop();
        await server.stop();
      }
    }
  } finally {
    pem.remove();
  }
});

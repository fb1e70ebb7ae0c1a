import {
  createGruuMint,
  createLocation,
  createOutbound,
  createRegistration,
  createRegistrationServer,
  createStack,
  type Incoming,
  type Location,
  type RegistrationServer,
  type RegistrationServerOptions,
  type SipResponse,
  type Stack,
} from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createFakeRandom } from '../../support/fake-random.ts';
import { suite } from '../../support/harness.ts';
import { createRig, type Peer, type Rig, text } from '../rig.ts';

const test = suite('tiny-sip registration server');

const aor = 'sip:alice@example.com';
const one = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000000000001>"';
const two = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000000000002>"';

interface Scene {
  readonly rig: Rig;
  readonly stack: Stack;
  readonly server: RegistrationServer;
  readonly location: Location;
  readonly client: Peer;
  readonly saved: string[];
  /** Sends a REGISTER and answers what came back. */
  register(
    lines: readonly string[],
    init?: {
      readonly callId?: string;
      readonly cseq?: number;
      readonly via?: string;
      readonly from?: string;
    },
  ): Promise<SipResponse>;
  contacts(): readonly string[];
}

async function scene(options: Partial<RegistrationServerOptions> = {}): Promise<Scene> {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1');
  const client = await rig.peer('10.0.0.9');
  const saved: string[] = [];
  const location = createLocation(
    { clock: rig.clock, after: stack.after },
    {
      save: (record) => void saved.push(`+${record.contact}`),
      drop: (_aor, key) => void saved.push(`-${key}`),
    },
  );
  const server = createRegistrationServer(
    { clock: rig.clock, log: rig.log, location },
    {
      authorise: () => ({ ok: true, aor }),
      isOurs: (uri) => uri.host === 'example.com',
      gruu: createGruuMint({ random: createFakeRandom(3) }),
      ...options,
    },
  );
  stack.on('REGISTER', server.handle);
  stack.onFlowClosed(location.flowClosed);
  let n = 0;
  return {
    rig,
    stack,
    server,
    location,
    client,
    saved,
    async register(lines, init = {}) {
      n += 1;
      const before = client.responses().length;
      client.send(
        { host: '10.0.0.1', port: 5060 },
        text('REGISTER', 'sip:example.com', {
          branch: `z9hG4bKr${n}`,
          callId: init.callId ?? 'reg',
          cseq: init.cseq ?? n,
          to: `<${aor}>`,
          headers: [...(init.via === undefined ? [] : [init.via]), ...lines],
        }),
      );
      await rig.clock.settle();
      const response = client.responses()[before];
      if (response === undefined) throw new Error('no answer');
      return response;
    },
    contacts: () => location.list(aor).map((binding) => binding.contact),
  };
}

const param = (response: SipResponse, name: string, at = 0): string | undefined =>
  response.contacts === '*' ? undefined : response.contacts[at]?.param(name);

const gruuClient = ['Supported: gruu, path, outbound'];

// client                                  registrar
//  |--REGISTER +sip.instance, gruu--------->|
//  |<----200 pub-gruu, temp-gruu------------|
//  |--REGISTER (refresh, same Call-ID)----->|
//  |<----200 same pub-gruu, new temp-gruu---|  the old one stays good
//  |--REGISTER (another Call-ID)----------->|
//  |<----200 new temp-gruu------------------|  all older ones are void
test('RFC 5627 §5.1, §5.2: both GRUUs are given; temporary ones add up until the Call-ID changes', async () => {
  const s = await scene();
  const contact = `Contact: <sip:alice@10.0.0.9:5060>;${one}`;
  const first = await s.register([contact, ...gruuClient]);
  assert.is(param(first, 'pub-gruu'), `${aor};gr=urn:uuid:00000000-0000-1000-8000-000000000001`);
  const temp = [param(first, 'temp-gruu') ?? ''];
  assert.match(temp[0] ?? '', /^sip:tgruu\..*@example\.com;gr$/);
  const second = await s.register([contact, ...gruuClient]);
  assert.is(param(second, 'pub-gruu'), param(first, 'pub-gruu'));
  temp.push(param(second, 'temp-gruu') ?? '');
  assert.is.not(temp[1], temp[0]);
  for (const uri of [...temp, param(first, 'pub-gruu') ?? '']) {
    const destination = s.server.resolve(uri);
    assert.is(destination?.instance, true);
    assert.equal(
      destination?.bindings.map((binding) => binding.contact),
      ['sip:alice@10.0.0.9:5060'],
      uri,
    );
  }
  const third = await s.register([contact, ...gruuClient], { callId: 'other', cseq: 1 });
  for (const uri of temp) assert.is(s.server.resolve(uri), undefined);
  assert.is(s.server.resolve(param(third, 'temp-gruu') ?? '')?.bindings.length, 1);
});

test('RFC 5627 §5.3: with the last contact the temporary ones are void, also after it came back', async () => {
  const s = await scene();
  const contact = `Contact: <sip:alice@10.0.0.9:5060>;${one};expires=60`;
  const first = await s.register([contact, ...gruuClient]);
  const temp = param(first, 'temp-gruu') ?? '';
  const pub = param(first, 'pub-gruu') ?? '';
  await s.rig.clock.advance(62_000);
  assert.is(s.server.resolve(temp), undefined);
  assert.equal(s.server.resolve(pub)?.bindings, [], 'known, but not there');
  await s.register([contact, ...gruuClient]);
  assert.is(s.server.resolve(temp), undefined);
  assert.is(s.server.resolve(pub)?.bindings.length, 1);
});

test('RFC 5627 §6.1: a GRUU means one instance, the AOR all of them', async () => {
  const s = await scene();
  await s.register([`Contact: <sip:a@10.0.0.9:1>;${one}`, ...gruuClient]);
  const second = await s.register([`Contact: <sip:b@10.0.0.9:2>;${two}`, ...gruuClient], { callId: 'b' });
  await s.register(['Contact: <sip:c@10.0.0.9:3>'], { callId: 'c' });
  const where = (uri: string) =>
    s.server
      .resolve(uri)
      ?.bindings.map((binding) => binding.contact)
      .sort();
  assert.equal(where(aor), ['sip:a@10.0.0.9:1', 'sip:b@10.0.0.9:2', 'sip:c@10.0.0.9:3']);
  assert.equal(where(param(second, 'pub-gruu', 1) ?? ''), ['sip:b@10.0.0.9:2']);
  assert.equal(where(param(second, 'temp-gruu', 1) ?? ''), ['sip:b@10.0.0.9:2']);
  assert.equal(where(`${aor};gr=URN:UUID:00000000-0000-1000-8000-000000000001`), ['sip:a@10.0.0.9:1']);
  assert.equal(where(`${aor};gr=nobody`), []);
  assert.is(where('sip:tgruu.forged@example.com;gr'), undefined);
});

test('RFC 5627 §5.1: flows of one instance share their temporary GRUUs, each with a Call-ID of its own', async () => {
  const s = await scene();
  const register = (regId: number, callId: string) =>
    s.register([`Contact: <sip:a@10.0.0.9:${regId}>;${one};reg-id=${regId}`, ...gruuClient], { callId });
  const first = await register(1, 'flow-1');
  assert.is(first.get('Require'), 'outbound');
  const temp = param(first, 'temp-gruu') ?? '';
  await register(2, 'flow-2');
  assert.is(s.server.resolve(temp)?.bindings.length, 2);
  await register(2, 'flow-2');
  assert.is(s.server.resolve(temp)?.bindings.length, 2);
  // One flow begins anew: all temporary GRUUs of the instance are void.
  const anew = await register(2, 'flow-3');
  assert.is(s.server.resolve(temp), undefined);
  assert.is(s.server.resolve(param(anew, 'temp-gruu') ?? '')?.bindings.length, 2);
});

test('GRUUs are not told to clients that do not know them, and what a client calls its GRUU is passed over', async () => {
  const s = await scene();
  const plain = await s.register([`Contact: <sip:a@10.0.0.9>;${one};pub-gruu="sip:evil@example.com;gr"`]);
  assert.is(param(plain, 'pub-gruu'), undefined);
  const told = await s.register([
    `Contact: <sip:a@10.0.0.9>;${one};temp-gruu="sip:evil@x;gr"`,
    ...gruuClient,
  ]);
  assert.match(param(told, 'temp-gruu') ?? '', /^sip:tgruu/);
  assert.match(param(told, 'pub-gruu') ?? '', /^sip:alice/);
  assert.is(told.get('Supported')?.includes('gruu'), false, 'RFC 5627 §5.2');
});

test('RFC 5627 §5.1: an instance at the AOR, at a GRUU of it, or at no SIP URI gets 403', async () => {
  const s = await scene();
  for (const uri of [aor, `${aor};gr=urn:uuid:00000000-0000-1000-8000-000000000001`, 'mailto:a@b.example'])
    assert.is((await s.register([`Contact: <${uri}>;${one}`, ...gruuClient])).status, 403, uri);
  assert.is((await s.register([`Contact: <${aor}>`])).status, 400);
});

test('RFC 3608: Service-Route goes with each 2xx; RFC 5626: Flow-Timer with outbound alone', async () => {
  const s = await scene({
    serviceRoute: () => ['<sip:p1.example.com;lr>', '<sip:p2.example.com;lr>'],
    flowTimer: 120,
  });
  const plain = await s.register(['Contact: <sip:a@10.0.0.9>']);
  assert.equal(plain.all('Service-Route'), ['<sip:p1.example.com;lr>', '<sip:p2.example.com;lr>']);
  assert.is(plain.has('Flow-Timer'), false);
  const outbound = await s.register([`Contact: <sip:a@10.0.0.9>;${one};reg-id=1`, ...gruuClient], {
    callId: 'o',
  });
  assert.is(outbound.get('Flow-Timer'), '120');
});

test('RFC 3327 §5.3: Path is kept and told, or refused where the client cannot know of it', async () => {
  const s = await scene();
  const via = 'Via: SIP/2.0/UDP 10.0.0.7;branch=z9hG4bKp';
  const path = 'Path: <sip:edge.example.com;lr;ob>';
  const refused = await s.register(['Contact: <sip:a@10.0.0.7>', path], { via });
  assert.is(refused.status, 420);
  const kept = await s.register(['Contact: <sip:a@10.0.0.7>', 'Supported: path', path], { via });
  assert.is(kept.get('Path'), '<sip:edge.example.com;lr;ob>');
  assert.equal(s.location.list(aor)[0]?.path, ['<sip:edge.example.com;lr;ob>']);
});

test('RFC 3261 §16.6: of several contacts the preferred one comes first, of equals the latest', async () => {
  const s = await scene();
  await s.register(['Contact: <sip:low@10.0.0.9>;q=0.1, <sip:old@10.0.0.9>;q=0.5;expires=100']);
  await s.register([
    'Contact: <sip:new@10.0.0.9>;q=0.5;expires=200, <sip:top@10.0.0.9>, <sip:odd@10.0.0.9>;q=7;expires=90',
  ]);
  const order = s.server.resolve(aor)?.bindings.map(({ contact }) => /:(\w+)@/.exec(contact)?.[1]);
  assert.equal(order, ['top', 'odd', 'new', 'old', 'low']);
});

test('RFC 3261 §10.3: one late contact undoes the whole request; another client has numbers of its own', async () => {
  const s = await scene();
  await s.register(['Contact: <sip:a@10.0.0.9>'], { cseq: 10 });
  assert.is(
    (await s.register(['Contact: <sip:b@10.0.0.9>, <sip:a@10.0.0.9>;expires=0'], { cseq: 9 })).status,
    500,
  );
  assert.equal(s.contacts(), ['sip:a@10.0.0.9']);
  assert.is((await s.register(['Contact: *', 'Expires: 0'], { cseq: 8 })).status, 500);
  assert.is((await s.register(['Contact: *', 'Expires: 5'], { cseq: 11 })).status, 400);
  assert.is((await s.register(['Contact: *', 'Expires: 0'], { callId: 'x', cseq: 1 })).status, 200);
  assert.equal(s.contacts(), []);
  assert.is(s.server.counts().late, 2);
});

test('authorisation may take its time, challenge or fail; its headers go with every answer', async () => {
  let verdict: () => ReturnType<RegistrationServerOptions['authorise']> = async () => ({
    ok: true,
    aor,
    headers: { 'Authentication-Info': 'nextnonce="n"' },
  });
  const s = await scene({ authorise: (_incoming: Incoming) => verdict() });
  const good = await s.register(['Contact: <sip:a@10.0.0.9>']);
  assert.is(good.status, 200);
  assert.is(good.get('Authentication-Info'), 'nextnonce="n"');
  const brief = await s.register(['Contact: <sip:a@10.0.0.9>;expires=5']);
  assert.is(brief.status, 423);
  assert.is(brief.get('Authentication-Info'), 'nextnonce="n"');
  verdict = () => ({ ok: false, status: 401, headers: { 'WWW-Authenticate': 'Digest realm="r"' } });
  assert.is((await s.register([])).status, 401);
  for (const broken of [
    async () => {
      throw new Error('no database');
    },
    () => {
      throw new Error('no database');
    },
  ]) {
    verdict = broken;
    assert.is((await s.register([])).status, 500);
  }
  verdict = () => ({ ok: true, aor });
  assert.is((await s.register(['Contact: <sip:a@10.0.0.9', 'Expires: 60'])).status, 400);
});

test('a restart takes bindings back, and with them the temporary GRUUs of a kept key', async () => {
  const key = createFakeRandom(7).bytes(32);
  const s = await scene({ gruu: createGruuMint({ random: createFakeRandom(8) }, key) });
  const answer = await s.register([`Contact: <sip:a@10.0.0.9>;${one}`, ...gruuClient]);
  const temp = param(answer, 'temp-gruu') ?? '';
  const records = [...s.location.records()];
  const later = await scene({ gruu: createGruuMint({ random: createFakeRandom(9) }, key) });
  for (const record of records) later.location.restore(record);
  assert.equal(
    later.server.resolve(temp)?.bindings.map(({ contact }) => contact),
    ['sip:a@10.0.0.9'],
  );
});

test('S28: instances come and go by the thousand and leave nothing behind', async () => {
  const s = await scene({
    authorise: ({ request }) => ({
      ok: true,
      aor: `sip:u${Number(request.callId?.slice(1)) % 200}@example.com`,
    }),
  });
  const idle = s.stack.counts().timers ?? 0;
  for (let n = 0; n < 1_000; n += 1)
    await s.register(
      [`Contact: <sip:a@10.0.0.9:${n + 1}>;+sip.instance="<urn:x:${n}>";expires=60`, 'Supported: gruu'],
      {
        callId: `c${n}`,
      },
    );
  assert.is(s.location.size, 1_000);
  await s.rig.clock.advance(100_000);
  assert.is(s.location.size, 0);
  assert.is(s.location.aors, 0);
  assert.is(s.stack.counts().timers, idle);
});

/** A port at which nothing answers. */
const nobody = 5099;

/** Registers by these addresses of the server, each a flow of its own. */
async function flows(s: Scene, ports: readonly number[]) {
  for (const port of ports) {
    if (port === 5060 || port === nobody) continue;
    const other = createStack(
      { clock: s.rig.clock, log: s.rig.log, random: createFakeRandom(port) },
      { transports: [s.rig.network.transport({ host: '10.0.0.1', port })] },
    );
    await other.start();
    other.on('REGISTER', s.server.handle);
  }
  const stack = await s.rig.stack('10.0.0.5');
  const states: string[] = [];
  const outbound = createOutbound(
    { stack, clock: s.rig.clock, random: createFakeRandom(5), log: s.rig.log },
    {
      aor,
      instance: 'urn:uuid:00000000-0000-1000-8000-000000000005',
      ways: ports.map((port) => () => ({
        target: { protocol: 'udp', host: '10.0.0.1', port, name: 'example.com' } as const,
      })),
      onState: (regId, state) => void states.push(`${regId} ${state.kind}`),
    },
  );
  return { outbound, states };
}

// UA                               registrar
//  |--REGISTER reg-id=1 ------------->|  by one way
//  |--REGISTER reg-id=2 ------------->|  by another, under another Call-ID
test('RFC 5626 §4.2: one instance over several flows, each with reg-id and Call-ID of its own', async () => {
  const s = await scene();
  const { outbound, states } = await flows(s, [5060, 5070, 5080]);
  assert.is(outbound.best, undefined);
  outbound.start();
  await s.rig.clock.settle();
  const bindings = s.location.list(aor);
  assert.equal(bindings.map(({ key }) => key.slice(-2)).sort(), [';1', ';2', ';3']);
  assert.is(new Set(bindings.map(({ callId }) => callId)).size, 3);
  assert.equal(new Set(bindings.map(({ instance }) => instance)).size, 1);
  assert.is(outbound.best?.outbound, true);
  assert.is(s.server.resolve(outbound.best?.tempGruu ?? '')?.bindings.length, 3);
  assert.ok(states.includes('3 registered'));
  await Promise.all([outbound.remove(), s.rig.clock.advance(1_000)]);
  assert.is(s.location.size, 0);
});

test('RFC 5626 §4.5: a flow that fails does not touch the others, and is tried again', async () => {
  const s = await scene();
  const { outbound, states } = await flows(s, [nobody, 5060]);
  outbound.start();
  await s.rig.clock.advance(100_000);
  assert.is(outbound.flows[1]?.state.kind, 'registered');
  assert.is(outbound.best, outbound.flows[1]?.state);
  assert.ok(states.filter((one) => one === '1 registering').length > 1);
  assert.is(states.filter((one) => one === '2 registered').length, 1);
  outbound.stop();
});

// Both ends are ours.
test('the registration client and the server understand each other: GRUUs, outbound, Service-Route', async () => {
  const s = await scene({ serviceRoute: () => ['<sip:10.0.0.1;lr>'] });
  const stack = await s.rig.stack('10.0.0.5');
  const registration = createRegistration(
    { stack, clock: s.rig.clock, random: createFakeRandom(5), log: s.rig.log },
    {
      aor,
      way: () => ({ target: { protocol: 'udp', host: '10.0.0.1', port: 5060, name: 'example.com' } }),
      instance: 'urn:uuid:00000000-0000-1000-8000-000000000005',
    },
  );
  registration.start();
  await s.rig.clock.settle();
  const { state } = registration;
  assert.is(state.kind, 'registered');
  if (state.kind !== 'registered') return;
  assert.is(state.gruu, `${aor};gr=urn:uuid:00000000-0000-1000-8000-000000000005`);
  assert.match(state.tempGruu ?? '', /^sip:tgruu\./);
  assert.is(state.outbound, true);
  assert.equal(state.serviceRoute, ['<sip:10.0.0.1;lr>']);
  assert.is(s.server.resolve(state.tempGruu ?? '')?.bindings.length, 1);
  await Promise.all([registration.remove(), s.rig.clock.advance(1_000)]);
  assert.is(s.location.size, 0);
});

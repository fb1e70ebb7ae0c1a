import { createStack, type Flow, type Receiver, type Transport } from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createFakeRandom } from '../../support/fake-random.ts';
import { suite } from '../../support/harness.ts';
import { createRig } from '../rig.ts';
import { bodyOf, call, callee, chat } from './calls.ts';

const test = suite('tiny-sip sessions, stack to stack', { timeout: 60_000 });

/** All tables empty, no timer left. */
async function quiet(rig: ReturnType<typeof createRig>, ...stacks: { counts(): Record<string, number> }[]) {
  await rig.clock.advance(40_000);
  for (const stack of stacks) {
    const counts = stack.counts();
    for (const name of ['transactions.client', 'transactions.server', 'dialogs'])
      assert.is(counts[name], 0, name);
    for (const name of ['sessions', 'invitations']) assert.is(counts[name] ?? 0, 0, name);
  }
  assert.is(rig.clock.pending(), 0);
  assert.equal(
    rig.log.lines.filter((line) => line.level === 'error'),
    [],
  );
}

for (const protocol of ['udp', 'tcp'] as const) {
  // Alice          Bob
  //  |---INVITE---->|  offer
  //  |<----180------|
  //  |<----200------|  answer
  //  |----ACK------>|
  //  |---INVITE---->|  a new offer of Alice's
  //  |<----200------|
  //  |----ACK------>|
  //  |<---INVITE----|  one of Bob's
  //  |-----200----->|
  //  |<----ACK------|
  //  |-----BYE----->|
  //  |<----200------|
  test(`a call with new offers both ways and BYE, ${protocol}`, async () => {
    const rig = createRig({ protocol });
    const alice = await rig.stack('10.0.0.1');
    const bob = await rig.stack('10.0.0.2');
    const target = { protocol, host: '10.0.0.2', port: 5060, name: '10.0.0.2' } as const;
    const back = callee(rig, bob);
    const { session, states } = call(rig, alice, { way: { target } });
    await rig.clock.advance(100);
    back.invitations[0]?.ring();
    await rig.clock.advance(1_000);
    const far = back.accept();
    await rig.clock.settle();
    assert.equal(states, ['inviting', 'early 180', 'established']);
    assert.equal(back.states, ['accepted', 'established']);
    assert.is(bodyOf(session.parameters?.local), bodyOf(far.parameters?.remote));
    assert.is(bodyOf(session.parameters?.remote), bodyOf(far.parameters?.local));
    assert.is(alice.counts().sessions, 1);

    const first = session.parameters;
    const outcome = await Promise.race([session.reoffer(chat('10.0.0.1', 2)), rig.clock.advance(1_000)]);
    assert.is(outcome?.kind, 'accepted');
    assert.is(session.parameters?.local.origin.version, '2');
    assert.is.not(session.parameters, first);
    assert.is(bodyOf(far.parameters?.remote), bodyOf(session.parameters?.local));
    assert.is(first?.local.origin.version, '1', 'what was agreed before is not touched');

    far.reoffer();
    await rig.clock.settle();
    assert.is(bodyOf(far.parameters?.remote), bodyOf(session.parameters?.local));
    assert.is(far.parameters?.local.origin.version, '1', 'the same again has the same version');

    const gone = session.bye();
    await rig.clock.settle();
    await gone;
    assert.is(states.at(-1), 'ended bye us');
    assert.is(back.states.at(-1), 'ended bye peer');
    await quiet(rig, alice, bob);
  });
}

// 2,000 calls one after the other, ended by turns by either side: no table keeps anything.
test('S41: many calls leave every table and timer empty', async () => {
  const rig = createRig();
  const alice = await rig.stack('10.0.0.1');
  const bob = await rig.stack('10.0.0.2');
  const back = callee(rig, bob, { onInvite: (invitation) => void invitation.accept(chat('10.0.0.2')) });
  const ended: string[] = [];
  for (let batch = 0; batch < 20; batch += 1) {
    const all = Array.from({ length: 100 }, () => call(rig, alice));
    await rig.clock.settle();
    assert.is(back.server.sessions.size, 100);
    for (const far of batch % 2 === 0 ? all.map((one) => one.session) : [...back.server.sessions]) far.bye();
    await rig.clock.settle();
    ended.push(...all.map((one) => one.states.at(-1) ?? ''));
    await rig.clock.advance(1_000);
  }
  assert.is(ended.filter((one) => one === 'ended bye us').length, 1_000);
  assert.is(ended.filter((one) => one === 'ended bye peer').length, 1_000);
  await quiet(rig, alice, bob);
});

test('a stack that stops ends its sessions, whatever they are doing, and leaves no timer', async () => {
  for (const moment of ['inviting', 'ringing', 'accepted', 'established', 'ended'] as const) {
    const rig = createRig();
    const alice = await rig.stack('10.0.0.1');
    const bob = await rig.stack('10.0.0.2');
    const back = callee(rig, bob);
    const { session, states } = call(rig, alice);
    if (moment !== 'inviting') await rig.clock.settle();
    if (moment === 'ringing') back.invitations[0]?.ring();
    if (moment === 'accepted') {
      // The ACK gets no further.
      rig.network.cut({ host: '10.0.0.1', port: 5060 });
      await alice.stop();
      back.accept();
    }
    if (moment === 'established' || moment === 'ended') back.accept();
    await rig.clock.settle();
    if (moment === 'ended') session.bye();
    await rig.clock.settle();
    await alice.stop();
    await bob.stop();
    await rig.clock.settle();
    assert.is(states.at(-1), moment === 'ended' ? 'ended bye us' : 'ended failed', moment);
    for (const stack of [alice, bob]) {
      assert.is(stack.counts().sessions ?? 0, 0, moment);
      assert.is(stack.counts().invitations ?? 0, 0, moment);
      assert.is(stack.counts().dialogs, 0, moment);
    }
    assert.is(rig.clock.pending(), 0, moment);
  }
});

/** A transport whose n-th send fails in one of three ways. */
function failing(
  inner: Transport,
  state: { sends: number; at: number; how: 'reject' | 'close' | 'vanish' },
): Transport {
  const wrapped = new WeakMap<Flow, Flow>();
  const wrap = (flow: Flow): Flow => {
    const known = wrapped.get(flow);
    if (known !== undefined) return known;
    const outer: Flow = Object.create(flow, {
      send: {
        value: (bytes: Buffer) => {
          state.sends += 1;
          if (state.sends !== state.at) return flow.send(bytes);
          if (state.how === 'vanish') return Promise.resolve();
          if (state.how === 'close') flow.close(new Error('injected'));
          return Promise.reject(new Error('injected'));
        },
      },
    });
    wrapped.set(flow, outer);
    return outer;
  };
  return Object.create(inner, {
    connect: { value: (remote: { host: string; port: number }) => wrap(inner.connect(remote)) },
    start: {
      value: (receiver: Receiver) =>
        inner.start({
          message: (from, bytes, parsed) => receiver.message(wrap(from), bytes, parsed),
          closed: (from, cause) => receiver.closed(wrap(from), cause),
          broken: (from, why) => receiver.broken(wrap(from), why),
        }),
    },
  });
}

for (const [protocol, how] of [
  ['udp', 'reject'],
  ['udp', 'vanish'],
  ['tcp', 'reject'],
  ['tcp', 'close'],
] as const)
  test(`S7: a call in which each send in turn fails (${how}) over ${protocol}: nothing throws, nothing is left`, async () => {
    let total = 1;
    const outcomes = new Set<string>();
    for (let n = 0; n <= total; n += 1) {
      const rig = createRig({ protocol });
      const state = { sends: 0, at: n, how };
      const make = async (host: string, seed: number) => {
        const stack = createStack(
          { clock: rig.clock, log: rig.log, random: createFakeRandom(seed) },
          { transports: [failing(rig.network.transport({ host, port: 5060 }), state)] },
        );
        await stack.start();
        return stack;
      };
      const alice = await make('10.0.0.1', 31);
      const bob = await make('10.0.0.2', 32);
      const back = callee(rig, bob, {
        onInvite(invitation) {
          invitation.ring();
          invitation.accept(chat('10.0.0.2'), { onOffer: () => chat('10.0.0.2', 2) });
        },
      });
      const target = { protocol, host: '10.0.0.2', port: 5060, name: '10.0.0.2' } as const;
      const { session, states } = call(rig, alice, { way: { target }, expires: 30 });
      await rig.clock.advance(40_000);
      const reoffered = session.reoffer(chat('10.0.0.1', 2));
      await rig.clock.advance(40_000);
      const [far] = back.server.sessions;
      far?.reoffer(chat('10.0.0.2', 3));
      await rig.clock.advance(40_000);
      session.bye();
      far?.bye();
      await rig.clock.advance(110_000);
      const what = `${n} of ${total}: ${states.join(', ')}`;
      outcomes.add((await reoffered).kind);
      if (n === 0) {
        total = state.sends;
        assert.equal(states.slice(0, 3), ['inviting', 'early 180', 'established']);
      }
      assert.match(states.at(-1) ?? '', /^ended/, what);
      assert.is(back.server.sessions.size, 0, what);
      for (const stack of [alice, bob]) {
        const counts = stack.counts();
        for (const name of ['transactions.client', 'transactions.server', 'dialogs'])
          assert.is(counts[name], 0, `${name}, ${what}`);
        assert.is(counts.sessions ?? 0, 0, what);
        assert.is(counts.invitations ?? 0, 0, what);
      }
      assert.is(rig.clock.pending(), 0, what);
      assert.equal(
        rig.log.lines.filter((line) => line.level === 'error'),
        [],
        what,
      );
      await alice.stop();
      await bob.stop();
    }
    assert.ok(total >= 12, `${total} sends`);
    assert.ok(outcomes.has('accepted'));
  });

test('lost, doubled and reordered datagrams: every call is agreed on by both sides, or by neither', async () => {
  let agreed = 0;
  for (let seed = 1; seed <= 12; seed += 1) {
    const random = createFakeRandom(seed);
    const rig = createRig({
      protocol: 'udp',
      fate: () => {
        const x = random.float();
        if (x < 0.2) return [];
        if (x < 0.35) return [0, 40];
        return [Math.floor(random.float() * 300)];
      },
    });
    const alice = await rig.stack('10.0.0.1');
    const bob = await rig.stack('10.0.0.2');
    const back = callee(rig, bob, {
      onInvite: (invitation) =>
        void invitation.accept(chat('10.0.0.2'), { onOffer: () => chat('10.0.0.2', 2) }),
    });
    const { session } = call(rig, alice);
    await rig.clock.advance(35_000);
    const [far] = back.server.sessions;
    session.reoffer(chat('10.0.0.1', 2));
    far?.reoffer(chat('10.0.0.2', 3));
    await rig.clock.advance(80_000);
    const sides = [session.state.kind, far?.state.kind ?? 'ended'];
    assert.ok(
      sides.every((one) => one === sides[0]),
      `seed ${seed}: ${sides.join(', ')}`,
    );
    if (sides[0] === 'established') {
      agreed += 1;
      assert.is(bodyOf(session.parameters?.local), bodyOf(far?.parameters?.remote), `seed ${seed}`);
      assert.is(bodyOf(session.parameters?.remote), bodyOf(far?.parameters?.local), `seed ${seed}`);
    }
    session.bye();
    await rig.clock.advance(80_000);
    await quiet(rig, alice, bob);
  }
  assert.ok(agreed >= 9, `${agreed} of 12`);
});

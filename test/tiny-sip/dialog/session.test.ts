import * as assert from 'uvu/assert';
import { suite } from '../../support/harness.ts';
import { createRig } from '../rig.ts';
import { bodyOf, call, callee, chat } from './calls.ts';

const test = suite('tiny-sip sessions, stack to stack');

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

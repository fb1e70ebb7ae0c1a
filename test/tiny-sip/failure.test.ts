import { createStack, type Flow, type Receiver, type Transport } from 'tiny-sip';
import * as assert from 'uvu/assert';
import { createFakeRandom } from '../support/fake-random.ts';
import { suite } from '../support/harness.ts';
import { createRig, type Rig } from './rig.ts';
import { createSystem, type System } from './system.ts';

const test = suite('tiny-sip under failure', { timeout: 60_000 });

/** Which sends fail in turn: a third of them, and all of them in a soak. */
const stride = process.env.SOAK === undefined ? 3 : 1;

/** Counts every send of the transports it wraps and makes chosen ones fail. */
function createFaults() {
  let sends = 0;
  let failAt = 0;
  let how: 'reject' | 'close' | 'vanish' = 'reject';
  const wrapped = new WeakMap<Flow, Flow>();

  const flow = (inner: Flow): Flow => {
    const known = wrapped.get(inner);
    if (known !== undefined) return known;
    const outer: Flow = Object.create(inner, {
      send: {
        value: (bytes: Buffer) => {
          sends += 1;
          if (sends !== failAt) return inner.send(bytes);
          if (how === 'vanish') return Promise.resolve();
          if (how === 'close') inner.close(new Error('injected'));
          return Promise.reject(new Error('injected'));
        },
      },
    });
    wrapped.set(inner, outer);
    return outer;
  };

  return {
    get sends() {
      return sends;
    },
    set(at: number, kind: typeof how): void {
      sends = 0;
      failAt = at;
      how = kind;
    },
    wrap: (transport: Transport): Transport =>
      Object.create(transport, {
        connect: { value: (remote: { host: string; port: number }) => flow(transport.connect(remote)) },
        start: {
          value: (receiver: Receiver) =>
            transport.start({
              message: (from, bytes, parsed) => receiver.message(flow(from), bytes, parsed),
              closed: (from, cause) => receiver.closed(flow(from), cause),
              broken: (from, why) => receiver.broken(flow(from), why),
            }),
        },
      }),
  };
}

/** A while in the life of a system: start, three changes, refreshes, the end. */
async function live(rig: Rig, system: System): Promise<void> {
  system.start();
  await rig.clock.advance(5_000);
  for (const value of ['1', '2', '3']) {
    system.value = value;
    system.publication.changed();
    await rig.clock.advance(30_000);
  }
  await rig.clock.advance(100_000);
}

async function leaveAndCheck(rig: Rig, system: System, what: string): Promise<void> {
  const gone = [system.publication.remove(), system.subscription.unsubscribe(), system.registration.remove()];
  await rig.clock.advance(35_000);
  await Promise.all(gone);
  await rig.clock.advance(70_000);
  for (const stack of [system.device, system.watcher]) {
    assert.is(stack.counts()['transactions.client'], 0, what);
    assert.is(stack.counts()['transactions.server'], 0, what);
    assert.is(stack.counts().dialogs, 0, what);
  }
  await system.stop();
  assert.is(rig.clock.pending(), 0, what);
  assert.equal(
    rig.log.lines.filter((line) => line.level === 'error'),
    [],
    what,
  );
}

for (const [protocol, how] of [
  ['udp', 'reject'],
  ['udp', 'vanish'],
  ['tcp', 'close'],
] as const)
  test(`S7: each send in turn ${how === 'vanish' ? 'goes nowhere' : `fails (${how})`} over ${protocol}: nothing throws, nothing leaks, all recovers`, async () => {
    let total = 1;
    for (let n = 0; n <= total; n += n === 0 ? 1 : stride) {
      const faults = createFaults();
      const rig = createRig({ protocol });
      const system = await createSystem(rig, faults.wrap);
      faults.set(n, how);
      await live(rig, system);
      if (n === 0) total = faults.sends;
      faults.set(0, how);
      await rig.clock.advance(120_000);
      const what = `${n} of ${total}`;
      assert.is(system.registration.state.kind, 'registered', what);
      assert.is(system.publication.state.kind, 'published', what);
      assert.is(system.subscription.state.kind, 'active', what);
      assert.is(system.heard.at(-1), '3', what);
      await leaveAndCheck(rig, system, what);
    }
    assert.ok(total > 30, `${total} sends`);
  });

// Every callback that a user of the stack can have: handlers, trace, states, bodies, stores, closed flows.
test('S7: the connections are cut inside each callback in turn: nothing throws, nothing leaks, all recovers', async () => {
  let total = 1;
  for (let n = 0; n <= total; n += n === 0 ? 1 : 2 * stride) {
    const rig = createRig({ protocol: 'tcp' });
    let calls = 0;
    let cutting = false;
    const system = await createSystem(rig, undefined, () => {
      calls += 1;
      if (calls !== n || cutting) return;
      cutting = true;
      // The server's side and the device's, so that both see a close they did not ask for in the midst of it.
      rig.network.cut({ host: '10.0.0.2', port: 5060 });
      rig.network.cut({ host: '10.0.0.1', port: 5060 });
      cutting = false;
    });
    await live(rig, system);
    if (n === 0) total = calls;
    await rig.clock.advance(120_000);
    const what = `${n} of ${total}`;
    assert.is(system.registration.state.kind, 'registered', what);
    assert.is(system.publication.state.kind, 'published', what);
    assert.is(system.subscription.state.kind, 'active', what);
    assert.is(system.heard.at(-1), '3', what);
    await leaveAndCheck(rig, system, what);
  }
  assert.ok(total > 80, `${total} callbacks`);
});

test('S1, S36: lost, doubled and reordered datagrams: at rest the watcher knows the last state', async () => {
  for (let seed = 1; seed <= 5; seed += 1) {
    const dice = createFakeRandom(seed * 7919);
    let quiet = false;
    const rig = createRig({
      fate: () => {
        if (quiet) return [0];
        const roll = dice.float();
        if (roll < 0.2) return [];
        if (roll < 0.3) return [0, 40];
        if (roll < 0.5) return [dice.float() * 300];
        return [0];
      },
    });
    const system = await createSystem(rig);
    system.start();
    for (let n = 1; n <= 300; n += 1) {
      system.value = `${n}`;
      system.publication.changed();
      await rig.clock.advance(dice.float() * 400);
    }
    quiet = true;
    await rig.clock.advance(300_000);
    assert.is(system.heard.at(-1), '300', `seed ${seed}`);
    assert.is(system.esc.counts().publications, 1, 'no ghost');
    assert.is(system.notifier.counts().subscriptions, 1);
    await leaveAndCheck(rig, system, `seed ${seed}`);
  }
});

test('a server that restarts without memory is found again by everybody', async () => {
  const rig = createRig();
  const system = await createSystem(rig);
  system.start();
  await rig.clock.advance(5_000);
  system.notifier.abandon();
  system.esc.stop();
  await system.server.stop();
  await rig.clock.advance(20_000);
  const again = createStack(
    { clock: rig.clock, log: rig.log, random: createFakeRandom(71) },
    { transports: [rig.network.transport({ host: '10.0.0.2', port: 5060 })] },
  );
  await again.start();
  again.on('REGISTER', (incoming) => incoming.respond(200, { headers: { Expires: '120' } }));
  let published = '';
  again.on('PUBLISH', (incoming) => {
    if (incoming.request.has('SIP-If-Match')) incoming.respond(412);
    else {
      published = incoming.request.text();
      incoming.respond(200, { headers: { 'SIP-ETag': 'x', Expires: '120' } });
    }
  });
  again.on('SUBSCRIBE', (incoming) => incoming.respond(incoming.request.toTag === undefined ? 503 : 481));
  await rig.clock.advance(300_000);
  assert.is(published, '0');
  assert.is(system.registration.state.kind, 'registered');
  assert.is(system.publication.state.kind, 'published');
  assert.is(system.subscription.state.kind, 'waiting');
  await system.stop();
  await again.stop();
  assert.is(rig.clock.pending(), 0);
});

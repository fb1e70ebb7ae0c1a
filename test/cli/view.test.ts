import * as assert from 'uvu/assert';
import { createView, type Seen } from '../../src/cli/view.ts';
import type { DevicePresence } from '../../src/presence/model.ts';
import { suite } from '../support/harness.ts';
import { createInside } from './inside.ts';

const test = suite('what a watcher sees');

const WALL = Date.UTC(2026, 5, 1, 12);

function rig() {
  const it = createInside();
  const view = createView(it.surroundings.io, () => WALL);
  let shown = 0;
  return {
    stderr: it.stderr,
    /** Lines of this notification, without their time. */
    show(seen: Partial<Seen>): string[] {
      view.show({
        resource: 'sip:g@x',
        subscription: 'active',
        bytes: 100,
        gone: false,
        devices: [],
        notes: [],
        ...seen,
      });
      const text = it.stdout().slice(shown);
      shown = it.stdout().length;
      return text
        .split('\n')
        .slice(0, -1)
        .map((line) => {
          assert.match(line, /^\d\d:\d\d:\d\d {2}/);
          return line.slice(10);
        });
    },
  };
}

const freezer: DevicePresence = { id: 'freezer-abcde', basic: 'open', note: '-18.2 °C' };
const lamp: DevicePresence = {
  id: 'lamp-12345',
  note: 'broker is gone',
  name: 'Lamp',
  timestamp: WALL - 65_000,
};

test('first every device, then what changed', () => {
  const { show } = rig();
  assert.equal(show({ devices: [freezer, lamp] }), [
    'freezer   open     -18.2 °C',
    'lamp (Lamp)  unknown  broker is gone  (1m ago)',
  ]);
  assert.equal(show({ devices: [{ ...freezer, note: '-18.0 °C' }, lamp] }), [
    'freezer      open     -18.0 °C',
  ]);
  assert.equal(show({ devices: [freezer] }), ['freezer      open     -18.2 °C', 'lamp         gone']);
  assert.equal(show({ devices: [freezer] }), ['sip:g@x      open     nothing changed']);
  assert.equal(show({ devices: [freezer], subscription: 'terminated', reason: 'timeout' }), []);
});

test('where everything is closed, "nothing changed" says closed', () => {
  const { show } = rig();
  const door = { id: 'door', basic: 'closed' } as const;
  show({ devices: [door] });
  assert.equal(show({ devices: [door] }), ['sip:g@x   closed   nothing changed']);
});

test('a notification without a document is gone, and afterwards everything is new', () => {
  const { show } = rig();
  show({ devices: [freezer] });
  assert.equal(show({ gone: true, bytes: 0 }), ['sip:g@x   gone']);
  assert.equal(show({ devices: [freezer] }), ['freezer   open     -18.2 °C']);
});

test('pending and the end are told', () => {
  const { show } = rig();
  assert.equal(show({ subscription: 'pending', bytes: 0 }), [
    'sip:g@x   unknown  the presentity has not yet allowed it',
  ]);
  assert.equal(show({ subscription: 'terminated', bytes: 0, reason: 'noresource' }), [
    'sip:g@x   gone     noresource',
  ]);
});

test('an activity and the note of the whole are shown', () => {
  const { show } = rig();
  assert.equal(show({ devices: [{ id: 'lamp', basic: 'closed', activity: 'busy' }], notes: ['all of it'] }), [
    'lamp      closed   all of it [busy]',
  ]);
});

test('what is no document is told on standard error and forgets nothing', () => {
  const { show, stderr } = rig();
  show({ devices: [freezer] });
  assert.equal(show({ error: 'not well-formed\u0007' }), []);
  assert.match(stderr(), /not understood: not well-formed\n/);
  assert.equal(show({ devices: [freezer] }), ['sip:g@x   open     nothing changed']);
});

test('control characters of a stranger do not reach the terminal', () => {
  const { show } = rig();
  const [line] = show({ devices: [{ id: 'x\u001b[31m', note: 'a\u001b]0;title\u0007b', basic: 'open' }] });
  assert.not.match(line ?? '', /[\u0000-\u001f]/);
});

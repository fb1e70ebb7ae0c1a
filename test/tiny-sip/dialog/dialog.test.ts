import { acceptDialog, contactOf, contactUri, type Flow, restoreDialog } from 'tiny-sip';
import * as assert from 'uvu/assert';
import { suite } from '../../support/harness.ts';
import { read, text } from '../rig.ts';

const test = suite('tiny-sip dialogs');

const subscribe = (headers: readonly string[] = [], init: Parameters<typeof text>[2] = {}) =>
  read(
    text('SUBSCRIBE', 'sip:freezer@example.com', {
      headers: ['Contact: <sip:alice@10.0.0.9:5060>', ...headers],
      ...init,
    }),
  );

test('RFC 3261 §12.1.1: what the receiver of a request keeps', () => {
  const dialog = acceptDialog(
    subscribe(
      [
        'Record-Route: <sip:one.example.com;lr>',
        'Record-Route: <sip:two.example.com;lr>, <sip:three.example.com;lr>',
      ],
      {
        cseq: 7,
        to: '"The Freezer" <sip:freezer@example.com;user=x>;other=1',
      },
    ),
    'mine',
  );
  assert.equal(dialog?.record(), {
    callId: 'call-1',
    localTag: 'mine',
    remoteTag: 'alice',
    localUri: 'sip:freezer@example.com;user=x',
    remoteUri: 'sip:alice@example.com',
    remoteTarget: 'sip:alice@10.0.0.9:5060',
    routeSet: ['<sip:one.example.com;lr>', '<sip:two.example.com;lr>', '<sip:three.example.com;lr>'],
    localSeq: 0,
    remoteSeq: 7,
  });
});

test('RFC 3261 §12.2.1.1: a request within it', () => {
  const dialog = acceptDialog(subscribe(['Record-Route: <sip:one.example.com;lr>']), 'mine');
  const request = dialog?.request('NOTIFY', { Event: 'presence' }, 'body');
  assert.is(request?.uri, 'sip:alice@10.0.0.9:5060');
  assert.is(request?.get('From'), '<sip:freezer@example.com>;tag=mine');
  assert.is(request?.get('To'), '<sip:alice@example.com>;tag=alice');
  assert.is(request?.get('Call-ID'), 'call-1');
  assert.is(request?.get('CSeq'), '1 NOTIFY');
  assert.is(request?.get('Route'), '<sip:one.example.com;lr>');
  assert.is(request?.text(), 'body');
  assert.is(dialog?.request('NOTIFY', {}).get('CSeq'), '2 NOTIFY');
  dialog?.used(9);
  assert.is(dialog?.request('NOTIFY', {}).get('CSeq'), '10 NOTIFY');
  dialog?.used(3);
  dialog?.used(undefined);
  assert.is(dialog?.request('NOTIFY', {}).get('CSeq'), '11 NOTIFY');
});

test('a strict first router becomes the Request-URI and the target the last Route', () => {
  const dialog = acceptDialog(
    subscribe(['Record-Route: <sip:strict.example.com>, <sip:two.example.com;lr>']),
    'mine',
  );
  const request = dialog?.request('NOTIFY', {});
  assert.is(request?.uri, 'sip:strict.example.com');
  assert.equal(request?.all('Route'), ['<sip:two.example.com;lr>', '<sip:alice@10.0.0.9:5060>']);
});

test('RFC 3261 §12.2.2: only a CSeq that rises is taken, and with it a new Contact', () => {
  const dialog = acceptDialog(subscribe([], { cseq: 5 }), 'mine');
  assert.is(dialog?.take(subscribe([], { cseq: 5 })), false);
  assert.is(dialog?.take(subscribe([], { cseq: 4 })), false);
  const moved = subscribe([], { cseq: 8 });
  moved.set('Contact', '<sip:alice@10.0.0.10:6000>');
  assert.is(dialog?.take(moved), true);
  assert.is(dialog?.remoteTarget, 'sip:alice@10.0.0.10:6000');
  assert.is(dialog?.take(subscribe([], { cseq: 7 })), false);
  const silent = subscribe([], { cseq: 9 });
  silent.remove('Contact');
  assert.is(dialog?.take(silent), true);
  assert.is(dialog?.remoteTarget, 'sip:alice@10.0.0.10:6000');
});

test('S23: written down and taken back it goes on where it was', () => {
  const first = acceptDialog(subscribe([], { cseq: 5 }), 'mine');
  first?.request('NOTIFY', {});
  const record = JSON.parse(JSON.stringify(first?.record()));
  const second = restoreDialog(record);
  assert.is(second.request('NOTIFY', {}).get('CSeq'), '2 NOTIFY');
  assert.is(second.take(subscribe([], { cseq: 5 })), false);
  assert.is(second.take(subscribe([], { cseq: 6 })), true);
});

test('a peer of RFC 2543 has no tag: To goes back without one', () => {
  const dialog = acceptDialog(subscribe([], { from: '<sip:old@example.com>' }), 'mine');
  assert.is(dialog?.request('NOTIFY', {}).get('To'), '<sip:old@example.com>');
});

test('no usable Contact, no dialog', () => {
  for (const contact of ['*', '<tel:+1>', '<mailto:a@b>']) {
    const request = subscribe();
    request.set('Contact', contact);
    assert.is(acceptDialog(request, 'mine'), undefined, contact);
    assert.is(contactOf(request), undefined);
  }
  const none = subscribe();
  none.remove('Contact');
  assert.is(acceptDialog(none, 'mine'), undefined);
});

test('our Contact on a flow', () => {
  const flow = (protocol: Flow['protocol'], host: string) =>
    ({ protocol, local: { host, port: 5070 } }) as unknown as Flow;
  assert.is(contactUri(flow('udp', '10.0.0.1'), 'bob'), 'sip:bob@10.0.0.1:5070');
  assert.is(contactUri(flow('tcp', '10.0.0.1'), undefined), 'sip:10.0.0.1:5070;transport=tcp');
  assert.is(contactUri(flow('tcp', '::1'), 'bob'), 'sip:bob@[::1]:5070;transport=tcp');
});

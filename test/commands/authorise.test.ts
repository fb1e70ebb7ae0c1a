import * as assert from 'uvu/assert';
import { createAuthoriser } from '../../src/commands/authorise.ts';
import { suite } from '../support/harness.ts';

const test = suite('who may command');

test('nobody may do anything until a rule says so', () => {
  const nobody = createAuthoriser([]);
  for (const verb of ['help', 'status', 'get', 'set', 'refresh'] as const)
    assert.is(nobody.grant('sip:alice@example.com', verb), 'none');
  assert.not(nobody.knows('sip:alice@example.com'));
});

test('senders are compared as addresses of record', () => {
  const list = createAuthoriser([{ from: 'sip:alice@example.com', verbs: ['get'] }]);
  for (const same of [
    'sip:alice@EXAMPLE.com',
    'SIP:alice@example.com',
    'sip:alice@example.com;transport=tcp',
    'sip:%61lice@example.com',
  ])
    assert.is(list.grant(same, 'get'), 'all', same);
  for (const other of [
    'sip:Alice@example.com',
    'sip:alice@example.org',
    'sip:alice@sub.example.com',
    'sip:alice@example.com.evil.org',
    'sip:mallory@evil.org;user=sip:alice@example.com',
    'alice',
    '',
    '<sip:alice@example.com>',
    'sip:alice@example.com\r\nX: y',
  ])
    assert.is(list.grant(other, 'get'), 'none', other);
});

test('verbs and devices are granted one by one; help comes with any of them', () => {
  const list = createAuthoriser([
    { from: ['sip:alice@a.org', 'sip:bob@a.org'], verbs: ['get', 'status'] },
    { from: 'sip:bob@a.org', verbs: ['set'], devices: ['lamp'] },
    { from: 'sip:bob@a.org', verbs: ['set'], devices: ['pump'] },
  ]);
  assert.is(list.grant('sip:alice@a.org', 'help'), 'all');
  assert.is(list.grant('sip:alice@a.org', 'set'), 'none');
  assert.equal(list.grant('sip:bob@a.org', 'set'), new Set(['lamp', 'pump']));
  assert.is(list.grant('sip:bob@a.org', 'get'), 'all');
  assert.is(list.grant('sip:bob@a.org', 'refresh'), 'none');
});

test('a rule whose sender is no URI is a mistake, not a rule that never matches', () => {
  assert.throws(() => createAuthoriser([{ from: 'sip:', verbs: ['get'] }]));
});

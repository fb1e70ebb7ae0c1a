/** What the product takes for granted about Kamailio, asked of Kamailio by a phone that shares no code with us. */
import * as assert from 'uvu/assert';
import { suite } from '../support/harness.ts';
import { type Kamailio, type KamailioOptions, startKamailio } from '../support/peers/kamailio.ts';
import { createPhone, type Phone } from '../support/peers/phone.ts';
import { header } from '../support/peers/phone-wire.ts';

const test = suite('kamailio as we know it', { timeout: 20_000 });
const NEEDS = ['kamailio'];
const GATEWAY = 'sip:gateway7@test.local';

interface Scene {
  kamailio: Kamailio;
  alice: Phone;
  gateway: Phone;
}

async function scene(
  options: KamailioOptions & { protocol?: 'udp' | 'tcp' },
  body: (scene: Scene) => Promise<void>,
): Promise<void> {
  const { protocol = 'udp', ...settings } = options;
  const kamailio = await startKamailio(settings);
  const phones: Phone[] = [];
  const phone = async (user: string, password: string): Promise<Phone> => {
    const one = await createPhone({ user, password, domain: kamailio.domain, port: kamailio.port, protocol });
    phones.push(one);
    return one;
  };
  try {
    await body({ kamailio, alice: await phone('alice', 'wonder'), gateway: await phone('gateway7', 'pump') });
  } finally {
    for (const one of phones) one.close();
    await kamailio.stop();
  }
}

function tuple(id: string, basic: 'open' | 'closed'): string {
  return (
    `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${GATEWAY}"><tuple id="${id}">` +
    `<status><basic>${basic}</basic></status><note>${id} is ${basic}</note></tuple></presence>`
  );
}

for (const algorithm of ['MD5', 'SHA-256'] as const) {
  for (const protocol of ['udp', 'tcp'] as const) {
    test.needs(NEEDS, `registers by ${algorithm} over ${protocol} and carries a MESSAGE both ways`, () =>
      scene({ algorithm, protocol }, async ({ alice, gateway }) => {
        assert.is((await alice.register()).status, 200);
        assert.is((await gateway.register()).status, 200);
        const forged = { headers: ['P-Asserted-Identity: <sip:boss@test.local>'] };
        assert.is((await alice.message(GATEWAY, 'status', forged)).status, 200);
        const chat = await gateway.chatted((one) => one.text === 'status');
        // The identity is the server's word, not the sender's.
        assert.is(header(chat.message, 'p-asserted-identity'), '<sip:alice@test.local>');
        assert.is((await gateway.message(alice.aor, 'all well')).status, 200);
        await alice.chatted((one) => one.text === 'all well');
      }),
    );
  }
}

test.needs(NEEDS, 'composes segments, gives a new tag at each change and 412 to an old one', () =>
  scene({}, async ({ alice, gateway }) => {
    await alice.subscribe(GATEWAY);
    const first = await gateway.publish(tuple('a', 'open'));
    const tag = header(first, 'sip-etag') ?? '';
    assert.is((await gateway.publish(tuple('b', 'open'))).status, 200);
    await alice.notified((one) => one.body.includes('a is open') && one.body.includes('b is open'));
    const changed = await gateway.publish(tuple('a', 'closed'), { tag });
    assert.is(changed.status, 200);
    assert.is.not(header(changed, 'sip-etag'), tag);
    await alice.notified((one) => one.body.includes('a is closed') && one.body.includes('b is open'));
    assert.is((await gateway.publish('', { tag })).status, 412);
    assert.is((await gateway.publish('', { tag: 'ours' })).status, 500);
  }),
);

// Newest by the second: within one second the older row wins.
test.needs(NEEDS, 'keeps one whole document of two publications that hold the same tuple id', () =>
  scene({}, async ({ alice, gateway }) => {
    const both = tuple('a', 'open').replace('</presence>', '<tuple id="z"><status/></tuple></presence>');
    await gateway.publish(both);
    await gateway.publish(tuple('a', 'closed'));
    await alice.subscribe(GATEWAY, { expires: 0 });
    const { body } = await alice.notified((one) => one.body !== '');
    assert.is(body.includes('a is closed'), !body.includes('id="z"'));
    assert.is(body.split('id="a"').length, 2);
  }),
);

test.needs(NEEDS, 'says 200 to a pidf-diff without understanding it', () =>
  scene({}, async ({ alice, gateway }) => {
    const first = await gateway.publish(tuple('a', 'open'));
    const diff = '<pidf-diff xmlns="urn:ietf:params:xml:ns:pidf-diff" version="2"/>';
    const answer = await gateway.publish(diff, {
      tag: header(first, 'sip-etag') ?? '',
      contentType: 'application/pidf-diff+xml',
    });
    assert.is(answer.status, 200);
    assert.is(header(answer, 'accept'), undefined);
    await alice.subscribe(GATEWAY, { expires: 0 });
    const { body } = await alice.notified(() => true);
    assert.not.match(body, 'a is open');
  }),
);

test.needs(NEEDS, 'tells watchers of an expired publication by a NOTIFY without a body', () =>
  scene({ cleanPeriod: 1 }, async ({ alice, gateway }) => {
    await alice.subscribe(GATEWAY);
    await alice.notified((one) => one.body === '');
    await gateway.publish(tuple('a', 'open'), { expires: 1 });
    const open = await alice.notified((one) => one.body.includes('a is open'));
    const gone = await alice.notified((one) => one.body === '' && one.at > open.at);
    assert.match(gone.state, /^active/);
  }),
);

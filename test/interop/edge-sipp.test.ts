/** The edge under SIPp: whole dialogs with digest, many at a time. */
import * as assert from 'uvu/assert';
import { suite } from '../support/harness.ts';
import { SIPP, startSipp } from '../support/peers/sipp.ts';
import { DOMAIN, tuple, withEdge } from './edge-scene.ts';
import { scenario, send } from './sipp-scenario.ts';

const test = suite('edge and sipp', { timeout: 60_000 });

const CREDENTIALS = '[authentication username=gateway7 password=secret]';

interface Ask {
  method: string;
  uri: string;
  cseq: number;
  /** Status that is expected. */
  status: number;
  from?: string;
  to?: string;
  headers?: readonly string[];
  body?: string;
  /** Goes beyond the answer: what is taken from it. */
  take?: string;
}

/** A request of the gateway with the challenge that it gets. */
function asked(ask: Ask, challenge: 401 | 407 = 401): string[] {
  return [
    sent(ask, []),
    `<recv response="${challenge}" auth="true"/>`,
    sent({ ...ask, cseq: ask.cseq + 1 }, [CREDENTIALS]),
    `<recv response="${ask.status}">${ask.take ?? ''}</recv>`,
  ];
}

function sent(ask: Ask, more: readonly string[]): string {
  return send(
    [
      `${ask.method} ${ask.uri} SIP/2.0`,
      'Via: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch=[branch]',
      'Max-Forwards: 70',
      `From: <${ask.from ?? `sip:gateway7@${DOMAIN}`}>;tag=[call_number]${ask.method}`,
      `To: <${ask.to ?? ask.uri}>`,
      'Call-ID: [call_id]',
      `CSeq: ${ask.cseq} ${ask.method}`,
      ...(ask.headers ?? []),
      ...more,
    ],
    ask.body,
  );
}

const aor = `sip:d[call_number]-7@${DOMAIN}`;

for (const protocol of ['udp', 'tcp'] as const) {
  test.needs([SIPP], `100 devices register, publish, change and go, ${protocol}`, () =>
    withEdge(async ({ port, edge, events }) => {
      const tag =
        '<action><ereg regexp="[^ ].*" search_in="hdr" header="SIP-ETag:" assign_to="tag"/></action>';
      const publish = (cseq: number, headers: readonly string[], body?: string): string[] =>
        asked({
          method: 'PUBLISH',
          uri: aor,
          cseq,
          status: 200,
          take: tag,
          headers: [
            'Event: presence',
            ...headers,
            ...(body === undefined ? [] : ['Content-Type: application/pidf+xml']),
          ],
          ...(body !== undefined && { body }),
        });
      const register = (cseq: number, expires: number): string[] =>
        asked({
          method: 'REGISTER',
          uri: `sip:${DOMAIN}`,
          to: aor,
          from: aor,
          cseq,
          status: 200,
          headers: ['Contact: <sip:d[call_number]@[local_ip]:[local_port]>', `Expires: ${expires}`],
        });
      const sipp = await startSipp({
        scenario: scenario(
          ...register(1, 600),
          ...publish(3, ['Expires: 600'], tuple('t', 'open', 'one', aor)),
          ...publish(5, ['Expires: 600', 'SIP-If-Match: [$tag]'], tuple('t', 'open', 'two', aor)),
          ...publish(7, ['Expires: 600', 'SIP-If-Match: [$tag]']),
          ...publish(9, ['Expires: 0', 'SIP-If-Match: [$tag]']),
          ...register(11, 0),
        ),
        remote: `127.0.0.1:${port}`,
        protocol,
        calls: 100,
        rate: 100,
      });
      await sipp.done;
      const counts = edge.counts();
      assert.is(counts.bindings, 0);
      assert.is(counts['publication.publications'], 0);
      const kinds = events.filter((one) => one.type === 'publish' && one.status === 200);
      assert.is(kinds.length, 400);
    }),
  );
}

test.needs([SIPP], 'a watcher subscribes, is told at once, and ends it', () =>
  withEdge(async ({ port, edge }) => {
    const take =
      '<action><ereg regexp="&lt;(sip:[^&gt;]*)&gt;" search_in="hdr" header="Contact:" assign_to="all,target"/>' +
      '<ereg regexp="tag=([^;]*)" search_in="hdr" header="To:" assign_to="whole,tag"/></action>';
    const subscribe: Ask = {
      method: 'SUBSCRIBE',
      uri: `sip:gateway7@${DOMAIN}`,
      from: `sip:gateway7@${DOMAIN}`,
      cseq: 1,
      status: 200,
      take,
      headers: ['Event: presence', 'Expires: 600', 'Contact: <sip:w@[local_ip]:[local_port]>'],
    };
    const told = (state: string): string[] => [
      `<recv request="NOTIFY"><action>
         <ereg regexp="${state}" search_in="hdr" header="Subscription-State:" check_it="true" assign_to="state"/>
       </action></recv>`,
      send([
        'SIP/2.0 200 OK',
        '[last_Via:]',
        '[last_From:]',
        '[last_To:]',
        '[last_Call-ID:]',
        '[last_CSeq:]',
      ]),
    ];
    const end: Ask = {
      ...subscribe,
      uri: '[$target]',
      to: `sip:gateway7@${DOMAIN}>;tag=[$tag`,
      cseq: 3,
      headers: ['Event: presence', 'Expires: 0', 'Contact: <sip:w@[local_ip]:[local_port]>'],
    };
    const sipp = await startSipp({
      scenario: scenario(
        ...asked(subscribe),
        ...told('active'),
        // `To` needs its tag outside of the brackets.
        ...asked(end).map((step) => step.replaceAll('tag=[$tag>', 'tag=[$tag]')),
        ...told('terminated'),
        '<Reference variables="all,whole,state"/>',
      ),
      remote: `127.0.0.1:${port}`,
      calls: 50,
      rate: 50,
    });
    await sipp.done;
    assert.is(edge.counts()['subscription.subscriptions'], 0);
  }),
);

// sipp                                  edge
//  |--SUBSCRIBE presence;max-rate=0.01--->|
//  |<----200, NOTIFY SIP-ETag------------ |
//  |--SUBSCRIBE Suppress-If-Match-------->|
//  |<----204------------------------------|  and no NOTIFY
//  |--SUBSCRIBE Expires 0, S-I-M--------->|
//  |<----204------------------------------|
test.needs(
  [SIPP],
  'RFC 5839, RFC 6446: a watcher that holds the state hears nothing, and its rate is agreed',
  () =>
    withEdge(async ({ port, edge }) => {
      const headers = ['Event: presence;max-rate=0.01', 'Contact: <sip:w@[local_ip]:[local_port]>'];
      const begin: Ask = {
        method: 'SUBSCRIBE',
        uri: `sip:gateway7@${DOMAIN}`,
        from: `sip:gateway7@${DOMAIN}`,
        cseq: 1,
        status: 200,
        take:
          '<action><ereg regexp="&lt;(sip:[^&gt;]*)&gt;" search_in="hdr" header="Contact:" assign_to="all,target"/>' +
          '<ereg regexp="tag=([^;]*)" search_in="hdr" header="To:" assign_to="whole,tag"/></action>',
        headers: [...headers, 'Expires: 600'],
      };
      const again = (cseq: number, expires: number): string[] =>
        asked({
          method: 'SUBSCRIBE',
          uri: '[$target]',
          from: `sip:gateway7@${DOMAIN}`,
          to: `sip:gateway7@${DOMAIN}>;tag=[$tag`,
          cseq,
          status: 204,
          headers: [...headers, `Expires: ${expires}`, 'Suppress-If-Match: [$etag]'],
          // `To` needs its tag outside of the brackets.
        }).map((step) => step.replaceAll('tag=[$tag>', 'tag=[$tag]'));
      const sipp = await startSipp({
        scenario: scenario(
          ...asked(begin),
          `<recv request="NOTIFY"><action>
           <ereg regexp="max-rate=0.01" search_in="hdr" header="Subscription-State:" check_it="true" assign_to="state"/>
           <ereg regexp="[^ ].*" search_in="hdr" header="SIP-ETag:" check_it="true" assign_to="etag"/>
         </action></recv>`,
          send([
            'SIP/2.0 200 OK',
            '[last_Via:]',
            '[last_From:]',
            '[last_To:]',
            '[last_Call-ID:]',
            '[last_CSeq:]',
          ]),
          ...again(3, 600),
          ...again(5, 0),
          '<Reference variables="all,whole,state"/>',
        ),
        remote: `127.0.0.1:${port}`,
        calls: 20,
        rate: 50,
      });
      await sipp.done;
      assert.is(edge.counts()['subscription.subscriptions'], 0);
      assert.is(edge.counts()['subscription.notified'], 20);
    }),
);

test.needs([SIPP], 'MESSAGEs pass between SIPp and SIPp, vouched for', () =>
  withEdge(async ({ port, edge }) => {
    const remote = `127.0.0.1:${port}`;
    const receiver = await startSipp({
      scenario: scenario(
        `<recv request="MESSAGE"><action>
           <ereg regexp="&lt;sip:gateway7@${DOMAIN}&gt;" search_in="hdr" header="P-Asserted-Identity:" check_it="true" assign_to="who"/>
         </action></recv><Reference variables="who"/>`,
        send([
          'SIP/2.0 200 OK',
          '[last_Via:]',
          '[last_From:]',
          '[last_To:];tag=r',
          '[last_Call-ID:]',
          '[last_CSeq:]',
        ]),
      ),
      calls: 100,
    });
    // Registered by another socket: its contact is taken by its word.
    const register = await startSipp({
      scenario: scenario(
        ...asked({
          method: 'REGISTER',
          uri: `sip:${DOMAIN}`,
          to: `sip:box-7@${DOMAIN}`,
          cseq: 1,
          status: 200,
          headers: [`Contact: <sip:box@127.0.0.1:${receiver.port}>`, 'Expires: 600'],
        }),
      ),
      remote,
    });
    await register.done;
    assert.is(edge.counts().bindings, 1);
    const sender = await startSipp({
      scenario: scenario(
        ...asked(
          {
            method: 'MESSAGE',
            uri: `sip:box-7@${DOMAIN}`,
            cseq: 1,
            status: 200,
            headers: ['Content-Type: text/plain', 'P-Asserted-Identity: <sip:boss@test.local>'],
            body: 'status',
          },
          407,
        ),
      ),
      remote,
      calls: 100,
      rate: 100,
    });
    await sender.done;
    await receiver.done;
    assert.is(edge.counts()['proxy.forwarded'], 100);
  }),
);

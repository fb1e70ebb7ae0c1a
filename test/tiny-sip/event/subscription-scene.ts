/** What the tests of the subscriber share: subscriptions on a stack, and a notifier that says what the test tells it to. */
import {
  createRequest,
  createSubscription,
  type Notify,
  type SipRequest,
  type Stack,
  type Subscription,
  type SubscriptionOptions,
  type SubscriptionState,
} from 'tiny-sip';
import { createFakeRandom } from '../../support/fake-random.ts';
import { createRig, type Peer, type Rig } from '../rig.ts';

export const target = { protocol: 'udp', host: '10.0.0.2', port: 5060, name: '10.0.0.2' } as const;
export const resource = 'sip:freezer@example.com';

export interface Scene extends Omit<Rig, 'stack'> {
  readonly stack: Stack;
  /** Another stack on the same network. */
  rigStack(host: string): Promise<Stack>;
  readonly server: Peer;
  readonly states: SubscriptionState[];
  readonly notified: Notify[];
  subscription(options?: Partial<SubscriptionOptions>): Subscription;
  /** Sends a NOTIFY in the dialog that `subscribe` began. */
  notify(
    subscribe: SipRequest,
    state: string,
    init?: {
      readonly cseq?: number;
      readonly body?: string;
      readonly tag?: string;
      readonly headers?: Record<string, string | string[]>;
      readonly event?: string;
    },
  ): Promise<number | undefined>;
}

export async function scene(): Promise<Scene> {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1');
  const server = await rig.peer('10.0.0.2');
  const states: SubscriptionState[] = [];
  const notified: Notify[] = [];
  let n = 0;
  return {
    ...rig,
    stack,
    rigStack: (host) => rig.stack(host),
    server,
    states,
    notified,
    subscription: (options = {}) =>
      createSubscription(
        { stack, clock: rig.clock, random: createFakeRandom(5), log: rig.log },
        {
          resource,
          from: 'sip:alice@example.com',
          accept: ['application/pidf+xml'],
          expires: 600,
          way: () => ({ target }),
          onNotify: (notify) => {
            notified.push(notify);
            return undefined;
          },
          onState: (state) => void states.push(state),
          ...options,
        },
      ),
    async notify(subscribe, state, init = {}) {
      n += 1;
      const before = server.responses().length;
      const request = createRequest({
        method: 'NOTIFY',
        uri: 'sip:alice@10.0.0.1:5060',
        headers: {
          Via: `SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKn${n};rport`,
          From: `<${resource}>;tag=${init.tag ?? 'peer'}`,
          To: `<sip:alice@example.com>;tag=${subscribe.fromTag}`,
          'Call-ID': subscribe.callId ?? '',
          CSeq: `${init.cseq ?? n} NOTIFY`,
          'Max-Forwards': 70,
          Event: init.event ?? 'presence',
          'Subscription-State': state,
          Contact: '<sip:server@10.0.0.2:5060;x=1>',
          ...(init.body !== undefined && { 'Content-Type': 'application/pidf+xml' }),
          ...init.headers,
        },
        body: init.body,
      });
      server.send({ host: '10.0.0.1', port: 5060 }, request);
      await rig.clock.settle();
      return server.responses()[before]?.status;
    },
  };
}

/** Accepts every SUBSCRIBE and sends a NOTIFY, as a server does. */
export function serve(one: Scene, expires = 600): void {
  one.server.onRequest = (request) => {
    one.server.answer(request, 200, {
      Expires: Math.min(request.expires ?? 0, expires),
      Contact: '<sip:server@10.0.0.2:5060>',
    });
    const left = Math.min(request.expires ?? 0, expires);
    one.notify(request, left === 0 ? 'terminated;reason=timeout' : `active;expires=${left}`, {
      body: '<p/>',
    });
  };
}

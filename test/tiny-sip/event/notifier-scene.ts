/** What the tests of the notifier share: a notifier, and a watcher that says what the test tells it to. */
import {
  createNotifier,
  type Notifier,
  type NotifierOptions,
  type Stack,
  type SubscriptionRecord,
} from 'tiny-sip';
import { createFakeRandom } from '../../support/fake-random.ts';
import { createRig, type Peer, type Rig, text } from '../rig.ts';

export const resource = 'sip:freezer@example.com';
export const server = { host: '10.0.0.1', port: 5060 };

export interface Scene extends Omit<Rig, 'stack'> {
  readonly stack: Stack;
  readonly watcher: Peer;
  readonly notifier: Notifier;
  /** Another notifier of the same kind, as after a restart. */
  again(stack: Stack): Notifier;
  rigStack(): Promise<Stack>;
  readonly records: Map<string, SubscriptionRecord>;
  readonly saves: SubscriptionRecord[];
  /** What the next NOTIFY says. */
  value: number;
  /** Sends a SUBSCRIBE: an initial one, or within the dialog of `tag`. */
  subscribe(init?: {
    readonly tag?: string;
    readonly cseq?: number;
    readonly expires?: number;
    readonly callId?: string;
    readonly event?: string;
    readonly headers?: readonly string[];
    readonly via?: string;
    readonly contact?: string;
    readonly from?: string;
  }): Promise<void>;
  /** What the watcher answers to NOTIFYs; undefined: nothing. */
  reply: number | undefined;
}

export async function scene(options: Partial<NotifierOptions> = {}): Promise<Scene> {
  const rig = createRig();
  const stack = await rig.stack('10.0.0.1');
  const watcher = await rig.peer('10.0.0.9');
  const records = new Map<string, SubscriptionRecord>();
  const saves: SubscriptionRecord[] = [];
  let n = 0;
  const make = (on: Stack): Notifier => {
    const notifier = createNotifier(
      { stack: on, clock: rig.clock, random: createFakeRandom(3), log: rig.log },
      {
        event: 'presence',
        types: ['application/pidf+xml', 'text/plain'],
        authorise: ({ request }) => ({ ok: true, resource, watcher: request.from?.uri ?? '' }),
        body: (subscription) => ({ contentType: subscription.accept[0] ?? '', content: `${one.value}` }),
        save(record) {
          saves.push(record);
          records.set(record.id, record);
        },
        drop: (id) => void records.delete(id),
        ...options,
      },
    );
    on.on('SUBSCRIBE', notifier.handle);
    return notifier;
  };
  const one: Scene = {
    ...rig,
    stack,
    watcher,
    records,
    saves,
    value: 0,
    reply: 200,
    notifier: make(stack),
    again: make,
    rigStack: () => rig.stack('10.0.0.1'),
    async subscribe(init = {}) {
      n += 1;
      watcher.send(
        server,
        text('SUBSCRIBE', resource, {
          branch: `z9hG4bK${n}`,
          callId: init.callId ?? 'sub-1',
          cseq: init.cseq ?? 1,
          ...(init.from !== undefined && { from: init.from }),
          ...(init.via !== undefined && { via: init.via }),
          to: init.tag === undefined ? `<${resource}>` : `<${resource}>;tag=${init.tag}`,
          headers: [
            `Event: ${init.event ?? 'presence'}`,
            `Expires: ${init.expires ?? 600}`,
            `Contact: ${init.contact ?? '<sip:alice@10.0.0.9:5060>'}`,
            ...(init.headers ?? []),
          ],
        }),
      );
      await rig.clock.settle();
    },
  };
  watcher.onRequest = (request) => {
    if (one.reply !== undefined) watcher.answer(request, one.reply);
  };
  return one;
}

import { connectControl } from '../control/client.ts';
import type { DaemonEvent } from '../control/event.ts';
import { exits } from './errors.ts';
import { parseCount } from './flags.ts';
import { SOCKET_FLAGS, socketPath } from './socket.ts';
import { printable } from './table.ts';
import { defineVerb } from './verb.ts';

export const tail = defineVerb({
  name: 'tail',
  summary: 'Shows what happens in the running gateway, until it stops or you do.',
  usage: '[-c FILE | --socket PATH]',
  flags: {
    ...SOCKET_FLAGS,
    count: { value: 'N', help: 'End after so many events.' },
    seconds: { value: 'N', help: 'End after so many seconds.' },
  },
  words: [0, 0],
  async run(surroundings, values) {
    const { io, clock } = surroundings;
    const count = parseCount('--count', values.count) ?? Number.POSITIVE_INFINITY;
    const seconds = parseCount('--seconds', values.seconds);
    const client = await connectControl({ clock }, await socketPath(surroundings, values));
    surroundings.interruptible().addEventListener('abort', () => client.close());
    const timer = seconds === undefined ? undefined : clock.after(seconds * 1000, () => client.close());
    let shown = 0;
    await client.follow('tail', {
      item(event) {
        if (shown >= count) return;
        shown += 1;
        io.out(values.json ? JSON.stringify(event) : formatEvent(event));
        if (shown >= count) client.close();
      },
      lost: (number) =>
        io.err(`presentity: ${number} events were lost, since they came faster than they could be shown`),
    });
    timer?.cancel();
    return exits.ok;
  },
});

/** An event as one line. */
export function formatEvent(event: DaemonEvent): string {
  const line = (...parts: (string | number | undefined)[]) =>
    [
      event.type.padEnd(7),
      ...parts.filter((part) => part !== undefined && part !== '').map((part) => printable(String(part))),
    ].join(' ');
  switch (event.type) {
    case 'device':
      return line(event.device, event.reach, event.note);
    case 'source':
      return line(event.source, event.state, event.cause);
    case 'account':
      return line(event.account, event.aor, event.state, event.detail);
    case 'publish':
      return line(event.side, event.aor, event.kind, `${event.bytes} bytes`, event.status);
    case 'notify':
      return line(event.watcher, 'of', event.resource, `${event.bytes} bytes`);
    case 'command':
      return line(event.from, JSON.stringify(event.text), event.outcome, event.answer);
  }
}

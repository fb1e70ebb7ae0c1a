import type { DevicePresence, Presence } from '../presence/model.ts';
import type { ReadBack } from './read-back.ts';

/** What a read-back shows of what was published. */
export type Verdict =
  | { readonly kind: 'same' }
  /** Every device is there, but what is said of them could not be judged: all changed meanwhile. */
  | { readonly kind: 'unsure' }
  | { readonly kind: 'different'; readonly why: string }
  | Exclude<ReadBack, { kind: 'seen' }>;

/**
 * Compares what was published with what a watcher sees. Servers keep time stamps and values as they like; state and note
 * are what people go by.
 *
 * @param changed ids whose state changed too lately to be judged; they must be there all the same
 * @param cover what the ids of the cover end in, where it must be there too
 */
export function judge(
  wanted: readonly DevicePresence[],
  changed: ReadonlySet<string>,
  seen: Presence,
  cover: string | undefined,
): Verdict {
  const found = new Map(seen.devices.map((device) => [device.id, device]));
  let judged = 0;
  for (const { id, basic, note } of wanted) {
    const shown = found.get(id);
    if (!shown) return { kind: 'different', why: `${id} is missing` };
    if (cover !== undefined && !found.has(`${id}${cover}`))
      return { kind: 'different', why: 'the server shows one publication only' };
    if (changed.has(id)) continue;
    judged += 1;
    if (shown.basic !== basic || (shown.note ?? '') !== (note ?? ''))
      return { kind: 'different', why: `${id} is not as published` };
  }
  return judged > 0 ? { kind: 'same' } : { kind: 'unsure' };
}

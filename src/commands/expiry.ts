/** Whether a message still holds. `undecidable`: it bears a date, and what time it is is not known. */
export type Validity =
  | { readonly kind: 'valid' }
  /** `late`: milliseconds since it expired. */
  | { readonly kind: 'expired'; readonly late: number }
  | { readonly kind: 'undecidable' };

/**
 * RFC 3428 §7: a message with an Expires ends that many seconds after its Date, or after its receipt when it has no
 * Date; one without Expires does not end. A Date that cannot be read leaves open when it ends.
 *
 * @param message `expires` in seconds; `date` in milliseconds since 1970, `unreadable` when it is no date; `waited`
 *   milliseconds since its receipt
 * @param wall milliseconds since 1970; undefined while the clock cannot be trusted
 */
export function validity(
  message: {
    readonly expires?: number | undefined;
    readonly date?: number | 'unreadable' | undefined;
    readonly waited: number;
  },
  wall: number | undefined,
): Validity {
  const { expires, date, waited } = message;
  if (expires === undefined) return { kind: 'valid' };
  if (date === undefined) return judge(waited - expires * 1_000);
  if (date === 'unreadable' || wall === undefined) return { kind: 'undecidable' };
  return judge(wall - (date + expires * 1_000));
}

function judge(late: number): Validity {
  return late > 0 ? { kind: 'expired', late } : { kind: 'valid' };
}

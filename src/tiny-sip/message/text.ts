/** Wire text (one char a byte) to Unicode. What is no UTF-8 stays as it is, read as latin1. */
export function fromWire(_wire: string): string {
  throw new Error('not built yet');
}

/** Unicode or wire text to wire text. Text that already is a view of UTF-8 bytes stays as it is. */
export function toWire(_text: string): string {
  throw new Error('not built yet');
}

/** quoted-string of a text (RFC 3261 §25.1). */
export function quote(_text: string): string {
  throw new Error('not built yet');
}

/** The text of a quoted-string; any other value is answered as it is. */
export function unquote(_value: string): string {
  throw new Error('not built yet');
}

/**
 * A copy that shares no memory with the message it was read from. Pieces of a message are views that keep the
 * whole head alive: detach what goes into a table that outlives it.
 */
export function detach(_text: string): string {
  throw new Error('not built yet');
}

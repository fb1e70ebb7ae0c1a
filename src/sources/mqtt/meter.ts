/**
 * Watches the lengths of incoming packets (MQTT 5 §2.1.4). The client collects a packet whole before it looks at it,
 * so one of 256 MB would be in memory before anybody could refuse it.
 *
 * @param exceeded called once, with the length of the first packet over the limit
 */
export function createPacketMeter(limit: number, exceeded: (bytes: number) => void): (chunk: Buffer) => void {
  /** Bytes of the packet still to come. */
  let left = 0;
  let length = 0;
  /** Multiplier of the next length byte; 0 while the first byte of a packet is awaited. */
  let factor = 0;
  let over = false;

  return (chunk) => {
    let at = 0;
    while (at < chunk.length && !over) {
      if (left > 0) {
        const step = Math.min(left, chunk.length - at);
        left -= step;
        at += step;
      } else if (factor === 0) {
        length = 0;
        factor = 1;
        at += 1;
      } else {
        const byte = chunk[at] ?? 0;
        at += 1;
        length += (byte & 0x7f) * factor;
        factor *= 0x80;
        // A fifth length byte is malformed; the client's parser says so.
        if ((byte & 0x80) !== 0 && factor <= 0x80 ** 4) continue;
        factor = 0;
        left = length;
        if (length > limit) {
          over = true;
          exceeded(length);
        }
      }
    }
  };
}

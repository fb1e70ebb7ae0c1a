/** The last `capacity` items, oldest first. */
export interface Ring<Item> {
  push(item: Item): void;
  items(): Item[];
  readonly size: number;
}

/** A bounded memory of recent things: when it is full the oldest goes. */
export function createRing<Item>(capacity: number): Ring<Item> {
  const slots: Item[] = [];
  let start = 0;
  return {
    push(item) {
      if (slots.length < capacity) slots.push(item);
      else {
        slots[start] = item;
        start = (start + 1) % capacity;
      }
    },
    items: () => [...slots.slice(start), ...slots.slice(0, start)],
    get size() {
      return slots.length;
    },
  };
}

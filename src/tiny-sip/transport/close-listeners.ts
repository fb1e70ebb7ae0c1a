type Listener = (cause: Error | undefined) => void;

/** Who waits for a flow to close. Takes no memory until somebody does, and little time when thousands do. */
export class CloseListeners {
  private waiting: Set<Listener> | undefined = undefined;

  get any(): boolean {
    return this.waiting !== undefined;
  }

  /** The same function may be added twice; each is called. */
  add(listener: Listener): () => void {
    const call: Listener = (cause) => listener(cause);
    this.waiting ??= new Set();
    this.waiting.add(call);
    return () => {
      this.waiting?.delete(call);
      if (this.waiting?.size === 0) this.waiting = undefined;
    };
  }

  /** For a flow that is closed already: at the next microtask, unless left before. */
  late(listener: Listener, cause: Error | undefined): () => void {
    let wanted = true;
    queueMicrotask(() => {
      if (wanted) listener(cause);
    });
    return () => {
      wanted = false;
    };
  }

  /** Calls each once; one that leaves meanwhile is not called. */
  tell(cause: Error | undefined): void {
    const waiting = this.waiting;
    if (waiting === undefined) return;
    for (const call of waiting) {
      waiting.delete(call);
      call(cause);
    }
    this.waiting = undefined;
  }
}

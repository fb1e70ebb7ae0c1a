import type { AgentEvent } from '../agent/events.ts';
import type { Clock } from '../base/clock.ts';
import type { DaemonEvent } from '../control/event.ts';
import type { SourceState } from '../device/reading.ts';
import type { DeviceState } from '../device/state.ts';
import type { EdgeEvent } from '../edge/events.ts';

/** Takes what the rooms tell in their own words and hands it to whoever looks on, in one form. */
export interface EventBus {
  on(listener: (event: DaemonEvent) => void): () => void;
  agent(event: AgentEvent): void;
  edge(event: EdgeEvent): void;
  device(id: string, state: DeviceState | undefined): void;
  source(state: SourceState): void;
}

export function createEventBus(clock: Clock): EventBus {
  const listeners = new Set<(event: DaemonEvent) => void>();
  const tell = (event: DaemonEvent): void => {
    for (const listener of listeners) listener(event);
  };
  const at = (): number => clock.now();

  return {
    on(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    agent(event) {
      switch (event.type) {
        case 'publish': {
          const { aor, kind, bytes, status } = event;
          return tell({ type: 'publish', side: 'agent', at: at(), aor, kind, bytes, status });
        }
        case 'command': {
          const { from, text, outcome, answer } = event;
          return tell({
            type: 'command',
            at: at(),
            from,
            text,
            outcome,
            ...(answer !== undefined && { answer }),
          });
        }
        case 'account': {
          const { account, aor, state, detail } = event;
          return tell({
            type: 'account',
            at: at(),
            account,
            aor,
            state,
            ...(detail !== undefined && { detail }),
          });
        }
      }
    },
    edge(event) {
      if (event.type === 'publish') {
        const { aor, kind, bytes, status } = event;
        return tell({ type: 'publish', side: 'edge', at: at(), aor, kind, bytes, status });
      }
      const { watcher, resource, bytes } = event;
      tell({ type: 'notify', at: at(), watcher, resource, bytes });
    },
    device(id, state) {
      if (!state) return;
      tell({ type: 'device', at: at(), device: id, reach: state.reach, note: state.note });
    },
    source({ source, state, cause }) {
      tell({ type: 'source', at: at(), source, state, ...(cause !== undefined && { cause }) });
    },
  };
}

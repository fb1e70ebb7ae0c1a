import type { Clock, Timer } from '../../src/base/clock.ts';
import type { Board } from './board.ts';
import type { Broker } from './broker.ts';

/** How often the freezer reports, and how often somebody goes through the door; milliseconds. */
const FREEZER_EVERY = 1_000;
const DOOR_EVERY = 4_000;

/** The cold store of the demo: its temperature follows the door. */
export interface Plant {
  stop(): void;
}

/** What the lamp said before the agent came: the broker keeps it. */
export function leaveRetained(broker: Broker): void {
  broker.publish('lamp/state', 'false', true);
}

/**
 * Lets a freezer warm up while its door is open and cool down while it is shut. The freezer reports by MQTT, the door
 * by the board's serial line, and a lamp takes its orders by MQTT.
 */
export function startPlant(deps: { clock: Clock; broker: Broker; board: Board }): Plant {
  const { clock, broker, board } = deps;
  let temperature = -18;
  let open = false;
  let timers: Timer[] = [];

  const every = (ms: number, run: () => void): void => {
    const again = (): void => {
      run();
      timers.push(clock.after(ms, again));
      if (timers.length > 8) timers = timers.slice(-4);
    };
    again();
  };

  broker.on('lamp/set', (payload) => broker.publish('lamp/state', payload, true));

  every(FREEZER_EVERY, () => {
    temperature += open ? 2.5 : (-20 - temperature) * 0.35;
    broker.publish('cold/freezer2', JSON.stringify({ temp: Number(temperature.toFixed(1)) }));
  });
  every(DOOR_EVERY, () => {
    open = !open;
    board.setDoor(open ? 'open' : 'shut');
  });

  return {
    stop() {
      for (const timer of timers) timer.cancel();
    },
  };
}

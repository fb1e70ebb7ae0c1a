import { createServer, type Server, type Socket } from 'node:net';
import { Aedes } from 'aedes';

/** The demo's MQTT broker, inside its process. */
export interface Broker {
  readonly url: string;
  publish(topic: string, payload: string, retain?: boolean): void;
  /** Calls `listener` with each message that somebody else published to exactly this topic. */
  on(topic: string, listener: (payload: string) => void): void;
  close(): Promise<void>;
}

/** Starts a broker on a free loopback port. */
export async function startBroker(): Promise<Broker> {
  const aedes = await Aedes.createBroker();
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    aedes.handle(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the broker has no port');

  return {
    url: `mqtt://127.0.0.1:${address.port}`,
    publish(topic, payload, retain = false) {
      aedes.publish(
        { cmd: 'publish', topic, payload: Buffer.from(payload), qos: 0, retain, dup: false },
        () => {},
      );
    },
    on(topic, listener) {
      aedes.subscribe(
        topic,
        (packet, done) => {
          listener(packet.payload.toString());
          done();
        },
        () => {},
      );
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await new Promise<void>((resolve) => aedes.close(() => resolve()));
    },
  };
}

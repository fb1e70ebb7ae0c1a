/** Inside a namespace: a name server and a SIP server that believes everything. Says what it hears, a line each. */
import { startSink } from '../bench/sink.ts';
import { startDnsServer } from '../support/peers/dns-server.ts';

const sink = await startSink();
const service = '_sip._udp.plant.example';
await startDnsServer(
  [
    {
      type: 'NAPTR',
      name: 'plant.example',
      order: 10,
      preference: 10,
      flags: 's',
      service: 'SIP+D2U',
      replacement: service,
    },
    { type: 'SRV', name: service, priority: 1, weight: 1, port: sink.port, target: 'sip1.plant.example' },
    { type: 'A', name: 'sip1.plant.example', address: '127.0.0.1' },
  ],
  53,
);
sink.onRequest((method) => console.log(`heard ${method}`));
console.log('island is up');
setTimeout(() => process.exit(0), 120_000);

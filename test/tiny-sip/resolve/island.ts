/** Inside a namespace: locates a name again and again, says when it works, and then talks over a link-local address. */
import {
  createLocator,
  createNodeDeps,
  createRequest,
  createStack,
  createSystemDns,
  createUdpTransport,
  type Stack,
} from 'tiny-sip';
import { startDnsServer } from '../../support/peers/dns-server.ts';

const [task = ''] = process.argv.slice(2);
const deps = createNodeDeps();
setTimeout(() => process.exit(1), 60_000);

if (task === 'dns') {
  await startDnsServer(
    [
      {
        type: 'SRV',
        name: '_sip._udp.plant.example',
        priority: 1,
        weight: 1,
        port: 5070,
        target: 'sip1.plant.example',
      },
      { type: 'A', name: 'sip1.plant.example', address: '127.0.0.1' },
    ],
    53,
  );
  console.log('dns is up');
} else if (task === 'locate') {
  const locator = createLocator({ ...deps, dns: createSystemDns });
  for (;;) {
    const found = await locator
      .locate('sip:gateway@plant.example', { protocols: ['udp'] })
      .then(([first]) => `located ${first?.host}:${first?.port}`)
      .catch((error: unknown) => `failed ${String(error)}`);
    console.log(found);
    if (found.startsWith('located')) process.exit(0);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
} else {
  const at = async (host: string): Promise<Stack & { readonly port: number }> => {
    const udp = createUdpTransport(deps, { host, port: 0 });
    const stack = createStack(deps, { transports: [udp] });
    await stack.start();
    return Object.assign(stack, { port: udp.local.port });
  };
  const server = await at('::');
  const client = await at('::');
  const host = `fe80::1%${task}`;
  const outcome = await client.send(createRequest({ method: 'OPTIONS', uri: 'sip:x@example.com' }), {
    target: { protocol: 'udp', host, port: server.port, name: host },
  });
  const via = outcome.kind === 'response' ? outcome.response.topVia : undefined;
  console.log(
    outcome.kind === 'response'
      ? `answered ${outcome.response.status} via ${via?.host} received ${via?.received}`
      : `${outcome.kind} ${outcome.kind === 'failed' ? outcome.error.message : ''}`,
  );
  process.exit(0);
}

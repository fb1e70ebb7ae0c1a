import { listPorts, type PortInfo } from '../sources/serial/ports.ts';
import { exits } from './errors.ts';
import { printable, table } from './table.ts';
import { defineVerb } from './verb.ts';

export const ports = defineVerb({
  name: 'ports',
  summary: 'Lists the serial ports of this machine, with the names to use in a configuration.',
  usage: '[flags]',
  description:
    'The first name of a port is the one to use: a link under by-id follows the adaptor wherever it is plugged in. Of two\nadaptors that look exactly alike only the link under by-path, that of the socket, tells which is which.',
  flags: {},
  words: [0, 0],
  async run({ io, files }, { json }) {
    const found = await listPorts({ files });
    if (json) io.out(JSON.stringify(found.map((port) => ({ use: bestName(port), ...port }))));
    else if (found.length === 0) io.out('no serial port is present');
    else for (const line of table(found.map(row))) io.out(line);
    return exits.ok;
  },
});

/** The name that will still mean this port after the next boot. */
function bestName(port: PortInfo): string {
  const [byId] = port.ambiguous ? [] : port.byId;
  return byId ?? port.byPath[0] ?? port.path;
}

function row(port: PortInfo): string[] {
  const maker = [port.manufacturer, port.product].filter((part) => part !== undefined).join(' ');
  const what = [
    maker,
    port.usb,
    port.serialNumber && `serial ${port.serialNumber}`,
    port.driver && `driver ${port.driver}`,
  ];
  const twin = port.ambiguous ? ['another port looks exactly alike'] : [];
  const use = bestName(port);
  return [use, port.path === use ? '' : port.path, printable([...what, ...twin].filter(Boolean).join(', '))];
}

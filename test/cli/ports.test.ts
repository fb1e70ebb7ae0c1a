import * as assert from 'uvu/assert';
import type { Files } from '../../src/base/file.ts';
import { createFakeFiles } from '../support/fake-files.ts';
import { suite } from '../support/harness.ts';
import { inside } from './inside.ts';

const test = suite('ports');

/** A machine with USB serial adaptors: name to serial number. */
function machine(adaptors: Record<string, string>): Files {
  const content: Record<string, string> = {};
  const links = new Map<string, string>();
  for (const [name, serial] of Object.entries(adaptors)) {
    const usb = `/sys/devices/usb1/${name}`;
    content[`/sys/class/tty/${name}`] = '';
    links.set(`/sys/class/tty/${name}/device`, `${usb}/1-1:1.0/${name}`);
    links.set(`${usb}/1-1:1.0/${name}/driver`, '/sys/bus/usb-serial/drivers/ch341-uart');
    content[`${usb}/idVendor`] = '1a86\n';
    content[`${usb}/idProduct`] = '7523\n';
    content[`${usb}/product`] = 'USB Serial\n';
    if (serial !== '') content[`${usb}/serial`] = `${serial}\n`;
    content[`/dev/serial/by-id/usb-${serial || 'same'}`] = '';
    links.set(`/dev/serial/by-id/usb-${serial || 'same'}`, `/dev/${name}`);
    content[`/dev/serial/by-path/pci-${name}`] = '';
    links.set(`/dev/serial/by-path/pci-${name}`, `/dev/${name}`);
  }
  const files = createFakeFiles(content);
  return {
    ...files,
    async resolve(path) {
      const target = links.get(path);
      if (target === undefined) throw new Error(`ENOENT: ${path}`);
      return target;
    },
  };
}

test('G11: ports are listed without udevadm, the lasting name first', async () => {
  const { status, stdout } = await inside(['ports'], { files: machine({ ttyUSB0: 'A1', ttyUSB1: 'B2' }) });
  assert.is(status, 0);
  assert.is(
    stdout,
    [
      '/dev/serial/by-id/usb-A1  /dev/ttyUSB0  USB Serial, 1a86:7523, serial A1, driver ch341-uart',
      '/dev/serial/by-id/usb-B2  /dev/ttyUSB1  USB Serial, 1a86:7523, serial B2, driver ch341-uart',
      '',
    ].join('\n'),
  );
});

test('G6: of two adaptors that look alike the by-path name is shown', async () => {
  const files = machine({ ttyUSB0: '', ttyUSB1: '' });
  const { stdout } = await inside(['ports'], { files });
  assert.match(stdout, /^\/dev\/serial\/by-path\/pci-ttyUSB0 .*another port looks exactly alike\n/);
  const { stdout: json } = await inside(['ports', '--json'], { files });
  assert.equal(
    (JSON.parse(json) as { use: string; ambiguous: boolean }[]).map(({ use, ambiguous }) => [use, ambiguous]),
    [
      ['/dev/serial/by-path/pci-ttyUSB0', true],
      ['/dev/serial/by-path/pci-ttyUSB1', true],
    ],
  );
});

test('a machine without ports says so', async () => {
  assert.is((await inside(['ports'])).stdout, 'no serial port is present\n');
  assert.is((await inside(['ports', '--json'])).stdout, '[]\n');
});

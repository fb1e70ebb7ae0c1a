import * as assert from 'uvu/assert';
import { explainOpenError } from '../../../src/sources/serial/explain.ts';
import { listPorts } from '../../../src/sources/serial/ports.ts';
import { suite } from '../../support/harness.ts';
import { createTree, node, type Tree } from './tree.ts';

const test = suite('sources/serial/ports');

const USB = '/sys/devices/platform/usb1';

/** A USB adaptor at a socket of the hub, as the kernel shows it. */
function plugUsb(tree: Tree, socket: string, tty: string, attributes: Record<string, string>): void {
  const parent = `${USB}/${socket}`;
  for (const [name, value] of Object.entries(attributes)) tree.content.set(`${parent}/${name}`, `${value}\n`);
  tree.content.set(`${parent}/${socket}:1.0/bInterfaceNumber`, '00\n');
  const device = tty.startsWith('ttyUSB') ? `${parent}/${socket}:1.0/${tty}` : `${parent}/${socket}:1.0`;
  tree.content.set(`${device}/uevent`, '');
  tree.links.set(
    `${device}/driver`,
    tty.startsWith('ttyUSB') ? '/sys/bus/usb-serial/drivers/ch341-uart' : '/sys/bus/usb/drivers/cdc_acm',
  );
  tree.content.set('/sys/bus/usb-serial/drivers/ch341-uart/bind', '');
  tree.content.set('/sys/bus/usb/drivers/cdc_acm/bind', '');
  tree.links.set(`/sys/class/tty/${tty}`, `/sys/devices/virtual-of/${tty}`);
  tree.links.set(`/sys/devices/virtual-of/${tty}/device`, device);
  tree.nodes.set(`/dev/${tty}`, node());
  tree.links.set(`/dev/serial/by-path/platform-usb-0:${socket}:1.0-port0`, `/dev/${tty}`);
}

const CH340 = { idVendor: '1a86', idProduct: '7523', product: 'USB Serial' };
const ARDUINO = {
  idVendor: '2341',
  idProduct: '0043',
  manufacturer: 'Arduino (www.arduino.cc)',
  product: 'Uno',
  serial: '7563331',
};

function machine(): Tree {
  const tree = createTree({
    '/sys/class/tty/console/active': 'tty0\n',
    '/sys/devices/platform/serial8250/uevent': '',
    '/sys/bus/platform/drivers/serial8250/bind': '',
    '/sys/class/tty/ttyS0/type': '0\n',
    '/sys/class/tty/ttyS1/type': '4\n',
    '/etc/passwd': 'root:x:0:0:root:/root:/bin/sh\npi:x:1000:1000::/home/pi:/bin/sh\n',
    '/etc/group': 'root:x:0:\ndialout:x:20:\npi:x:1000:\nvideo:x:44:pi\n',
  });
  tree.links.set('/sys/class/tty/ttyS0/device', '/sys/devices/platform/serial8250');
  tree.links.set('/sys/class/tty/ttyS1/device', '/sys/devices/platform/serial8250');
  tree.links.set('/sys/devices/platform/serial8250/driver', '/sys/bus/platform/drivers/serial8250');
  plugUsb(tree, '1-1.2', 'ttyACM0', ARDUINO);
  tree.links.set('/dev/serial/by-id/usb-Arduino_Uno_7563331-if00', '/dev/ttyACM0');
  return tree;
}

test('G11: ports are listed from /sys/class/tty, without udevadm and even without the links of udev', async () => {
  const tree = machine();
  for (const link of [...tree.links.keys()]) if (link.startsWith('/dev/serial')) tree.links.delete(link);
  assert.equal(await listPorts(tree), [
    {
      path: '/dev/ttyACM0',
      driver: 'cdc_acm',
      manufacturer: 'Arduino (www.arduino.cc)',
      product: 'Uno',
      serialNumber: '7563331',
      usb: '2341:0043',
      byId: [],
      byPath: [],
      ambiguous: false,
    },
    { path: '/dev/ttyS1', driver: 'serial8250', byId: [], byPath: [], ambiguous: false },
  ]);
  assert.equal(await listPorts(createTree()), []);
});

test('G6: of two equal adaptors both are shown with their by-path, and by-id is ambiguous', async () => {
  const tree = machine();
  plugUsb(tree, '1-1.3', 'ttyUSB0', CH340);
  plugUsb(tree, '1-1.4', 'ttyUSB1', CH340);
  // Both want this name; the one that came last has it.
  tree.links.set('/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0', '/dev/ttyUSB1');
  const ports = await listPorts(tree);
  assert.equal(
    ports.map(({ path, byId, byPath, ambiguous }) => [path, byId.length, byPath, ambiguous]),
    [
      ['/dev/ttyACM0', 1, ['/dev/serial/by-path/platform-usb-0:1-1.2:1.0-port0'], false],
      ['/dev/ttyS1', 0, [], false],
      ['/dev/ttyUSB0', 0, ['/dev/serial/by-path/platform-usb-0:1-1.3:1.0-port0'], true],
      ['/dev/ttyUSB1', 1, ['/dev/serial/by-path/platform-usb-0:1-1.4:1.0-port0'], true],
    ],
  );
});

test('an adaptor that is pulled out while it is listed is left out or listed with less', async () => {
  const tree = machine();
  const { resolve } = tree.files;
  tree.files.resolve = async (path) => {
    if (path.endsWith('ttyACM0/device')) throw Object.assign(new Error('ENODEV'), { code: 'ENODEV' });
    return resolve(path);
  };
  assert.equal(
    (await listPorts(tree)).map(({ path }) => path),
    ['/dev/ttyS1'],
  );
});

const PI = { uid: 1000, gids: [1000, 44] };

test('G8: no permission prints owner, group, mode, our groups and the remedy; exit 77', async () => {
  const tree = machine();
  const error = await explainOpenError(
    { files: tree.files, identity: PI },
    '/dev/ttyACM0',
    new Error('Error: Permission denied, cannot open /dev/ttyACM0'),
  );
  assert.is(error.code, 'SRC_PORT_DENIED');
  assert.is(error.exit, 77);
  assert.is(
    error.message,
    'no permission for port /dev/ttyACM0: it belongs to root, group dialout, mode 0660; this process is pi, groups pi video',
  );
  assert.is(
    error.remedy,
    'Run `sudo usermod -aG dialout pi` and log in again; in a systemd unit add `SupplementaryGroups=dialout`.',
  );
});

test('G8: where the group may not write either, a udev rule is the remedy; unknown numbers stay numbers', async () => {
  const tree = machine();
  tree.nodes.set('/dev/ttyACM0', node({ mode: 0o600, gid: 999, uid: 5 }));
  const error = await explainOpenError(
    { files: tree.files, identity: { uid: 77, gids: [78] } },
    '/dev/ttyACM0',
    new Error('Error: Permission denied, cannot open /dev/ttyACM0'),
  );
  assert.match(error.message, 'it belongs to 5, group 999, mode 0600; this process is 77, groups 78');
  assert.match(error.remedy, 'KERNEL=="ttyACM0", GROUP="dialout", MODE="0660"');
});

test('G7: a port that is not there lists what is, and the nearest match', async () => {
  const tree = machine();
  plugUsb(tree, '1-1.3', 'ttyUSB0', CH340);
  tree.links.set('/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0', '/dev/ttyUSB0');
  const explain = async (path: string): Promise<[string, string]> => {
    const error = await explainOpenError(
      { files: tree.files, identity: PI },
      path,
      new Error(`Error: No such file or directory, cannot open ${path}`),
    );
    assert.is(error.code, 'SRC_PORT_MISSING');
    return [error.message, error.remedy];
  };
  assert.equal(await explain('/dev/ttyUSB1'), [
    'port /dev/ttyUSB1 is not there',
    'Present now: /dev/ttyACM0, /dev/ttyS1, /dev/ttyUSB0. Did you mean /dev/ttyUSB0?',
  ]);
  assert.equal(await explain('/dev/serial/by-id/usb-Arduino_Uno_999-if00'), [
    'port /dev/serial/by-id/usb-Arduino_Uno_999-if00 is not there',
    'Present now: /dev/serial/by-id/usb-Arduino_Uno_7563331-if00, /dev/ttyS1, /dev/serial/by-id/usb-1a86_USB_Serial-if00-port0. Did you mean /dev/serial/by-id/usb-Arduino_Uno_7563331-if00?',
  ]);
  const [, remedy] = await explain('/dev/serial/by-path/platform-usb-0:1-1.9:1.0-port0');
  assert.match(remedy, 'Did you mean /dev/serial/by-path/platform-usb-0:1-1.');
  const [, far] = await explain('/dev/nothing_like_it');
  assert.not.match(far, 'Did you mean');
});

test('G7: where there is no port at all it says so', async () => {
  const error = await explainOpenError(
    { files: createTree().files, identity: PI },
    '/dev/ttyUSB0',
    new Error('x'),
  );
  assert.is(error.remedy, 'No serial port is present; plug the adaptor in.');
});

test('a locked port and everything else have their own errors', async () => {
  const tree = machine();
  const explain = (text: string): Promise<{ code: string; message: string }> =>
    explainOpenError({ files: tree.files, identity: PI }, '/dev/ttyACM0', new Error(text));
  assert.is((await explain('Error Resource temporarily unavailable Cannot lock port')).code, 'SRC_PORT_BUSY');
  assert.is(
    (await explain('Error: Inappropriate ioctl for device, cannot open /dev/ttyACM0')).message,
    'port /dev/ttyACM0 cannot be opened: Inappropriate ioctl for device',
  );
});

import { dirname, join } from 'node:path';
import type { Files } from '../../base/file.ts';

/** A serial port of the machine. */
export interface PortInfo {
  /** The device node, such as `/dev/ttyUSB0`. */
  readonly path: string;
  /** Links that follow the adaptor: its maker, model and serial number. */
  readonly byId: readonly string[];
  /** Links that follow the socket it is plugged into. */
  readonly byPath: readonly string[];
  readonly driver?: string;
  readonly manufacturer?: string;
  readonly product?: string;
  readonly serialNumber?: string;
  /** USB vendor and product id, such as `1a86:7523`. */
  readonly usb?: string;
  /** Another port looks exactly alike: a `by-id` link leads to either of them, only `by-path` tells them apart. */
  readonly ambiguous: boolean;
}

const TTY = '/sys/class/tty';
const BY_ID = '/dev/serial/by-id';
const BY_PATH = '/dev/serial/by-path';

/** How far up a device's USB parent is at most: interface, then device, then perhaps hubs' interfaces. */
const USB_PARENTS = 4;

/**
 * Lists the serial ports from `/sys/class/tty` and the links of udev where there are any. No program is run, so it
 * works where `udevadm` is missing.
 */
export async function listPorts(deps: { files: Files }): Promise<PortInfo[]> {
  const { files } = deps;
  const [names, byId, byPath] = await Promise.all([
    files.list(TTY),
    linksIn(files, BY_ID),
    linksIn(files, BY_PATH),
  ]);
  const found = await Promise.all(names.map((name) => describe(files, name)));
  const ports = found.filter((port) => port !== undefined);
  const likes = new Map<string, number>();
  for (const { identity } of ports) likes.set(identity, (likes.get(identity) ?? 0) + 1);
  return ports
    .map(({ identity, ...port }) => ({
      ...port,
      byId: byId.get(port.path) ?? [],
      byPath: byPath.get(port.path) ?? [],
      ambiguous: identity !== '' && (likes.get(identity) ?? 0) > 1,
    }))
    .sort((one, other) => one.path.localeCompare(other.path, 'en', { numeric: true }));
}

interface Described extends Omit<PortInfo, 'byId' | 'byPath' | 'ambiguous'> {
  /** Equal for adaptors that udev cannot tell apart; empty for ports that are no USB. */
  readonly identity: string;
}

async function describe(files: Files, name: string): Promise<Described | undefined> {
  const device = await resolved(files, join(TTY, name, 'device'));
  // Consoles and pseudo-terminals have no device behind them.
  if (device === undefined) return undefined;
  // The kernel makes ttyS0 to ttyS31 whether or not there is a chip; without one their type is 0.
  if ((await attribute(files, join(TTY, name, 'type'))) === '0') return undefined;
  const driver = await resolved(files, join(device, 'driver'));
  const parent = await usbParent(files, device);
  const from = async (attributeName: string): Promise<string | undefined> =>
    parent === undefined ? undefined : attribute(files, join(parent.path, attributeName));
  const [vendor, model, manufacturer, product, serialNumber] = await Promise.all(
    ['idVendor', 'idProduct', 'manufacturer', 'product', 'serial'].map(from),
  );
  const usb = vendor && model ? `${vendor}:${model}` : undefined;
  return {
    path: `/dev/${name}`,
    ...(driver && { driver: driver.slice(driver.lastIndexOf('/') + 1) }),
    ...(manufacturer && { manufacturer }),
    ...(product && { product }),
    ...(serialNumber && { serialNumber }),
    ...(usb && { usb }),
    identity: usb ? [usb, serialNumber ?? '', parent?.interface ?? ''].join(' ') : '',
  };
}

/** The USB device above a port, and which of its interfaces the port is. */
async function usbParent(
  files: Files,
  device: string,
): Promise<{ path: string; interface: string } | undefined> {
  let path = device;
  let number = '';
  for (let step = 0; step < USB_PARENTS && path !== '/'; step += 1) {
    if ((await attribute(files, join(path, 'idVendor'))) !== undefined) return { path, interface: number };
    number = (await attribute(files, join(path, 'bInterfaceNumber'))) ?? number;
    path = dirname(path);
  }
  return undefined;
}

/** For each device node the links in a folder that lead to it. */
async function linksIn(files: Files, folder: string): Promise<Map<string, string[]>> {
  const links = new Map<string, string[]>();
  for (const name of (await files.list(folder)).sort()) {
    const link = join(folder, name);
    const path = await resolved(files, link);
    if (path === undefined) continue;
    const known = links.get(path);
    if (known) known.push(link);
    else links.set(path, [link]);
  }
  return links;
}

async function resolved(files: Files, path: string): Promise<string | undefined> {
  try {
    return await files.resolve(path);
  } catch {
    // It is not there, or went away just now: both are answers here.
    return undefined;
  }
}

async function attribute(files: Files, path: string): Promise<string | undefined> {
  try {
    return (await files.read(path)).toString('utf8').trim();
  } catch {
    // Attributes that a device lacks, and those of a device that is being pulled out.
    return undefined;
  }
}

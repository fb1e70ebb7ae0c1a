import { createHmac } from 'node:crypto';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { parseUri } from 'tiny-sip';
import type { AccountOptions, CommandUser, PublishedDevice } from '../agent/options.ts';
import type { Level } from '../base/log.ts';
import type { CommandRule } from '../commands/authorise.ts';
import type { DeviceOptions, SignalOptions } from '../device/options.ts';
import type { EdgeOptions } from '../edge/options.ts';
import type { MqttBinding, MqttSourceOptions } from '../sources/mqtt/options.ts';
import type { SerialBinding, SerialSourceOptions } from '../sources/serial/options.ts';
import type { ParsedConfig } from './schema/config.ts';

type ParsedSignal = ParsedConfig['devices'][string]['signals'][string];
type ParsedAccount = ParsedConfig['accounts'][string];

/** A checked configuration, in the shapes that the rooms below take. */
export interface Config {
  /** The file it came from. */
  readonly file: string;
  /** Absolute. For what must outlive a power cut. */
  readonly data: string;
  /** Absolute. For what need not outlive a reboot. */
  readonly runtime: string;
  readonly log: { readonly level: Level; readonly quiet: number };
  /** The control socket; absent when it is switched off. */
  readonly control?: { readonly socket: string };
  readonly accounts: readonly (AccountOptions & { readonly expires: number })[];
  readonly mqtt: readonly MqttSourceOptions[];
  readonly serial: readonly SerialSourceOptions[];
  readonly devices: readonly DeviceOptions[];
  readonly commands: readonly CommandRule[];
  /** Senders of commands that prove themselves by digest, by their address-of-record. */
  readonly users: readonly CommandUser[];
  readonly edge?: EdgeOptions;
}

/**
 * Puts a parsed configuration together: names become ids, each signal's way from its source becomes a binding of that
 * source, relative paths become absolute.
 *
 * @param machine something that is this machine's alone, such as the content of /etc/machine-id; it is only hashed
 */
export function assemble(parsed: ParsedConfig, file: string, machine: string): Config {
  const directory = resolve(dirname(file));
  const absolute = (path: string) => (isAbsolute(path) ? path : resolve(directory, path));
  const data = absolute(parsed.data);
  const runtime = absolute(parsed.runtime);
  const only = Object.keys(parsed.accounts)[0];
  const firstAor = Object.values(parsed.accounts)[0]?.aor ?? '';

  const { mqtt, serial } = assembleSources(
    parsed,
    (id) => `presentity-${hash(machine, firstAor, id).slice(0, 12)}`,
  );
  return {
    file,
    data,
    runtime,
    log: parsed.log,
    ...(parsed.control.enabled && {
      control: { socket: absolute(parsed.control.socket ?? join(runtime, 'control.sock')) },
    }),
    accounts: Object.entries(parsed.accounts).map(([id, { passwordFile: _, ...account }]) => ({
      ...account,
      id,
      user: account.user ?? parseUri(account.aor).user ?? '',
      instance: `urn:uuid:${uuid(hash(machine, account.aor, 'instance'))}`,
      devices: Object.entries(parsed.devices)
        .filter(([, device]) => (device.account ?? only) === id)
        .map(([deviceId, device]) => assemblePublished(deviceId, device, account)),
    })),
    mqtt,
    serial,
    devices: Object.entries(parsed.devices).map(([id, device]) => ({
      id,
      ...(device.name !== undefined && { name: device.name }),
      signals: Object.fromEntries(
        Object.entries(device.signals).map(([signalId, signal]) => [signalId, signalOptions(signal)]),
      ),
      ...(device.states && { states: device.states }),
    })),
    commands: parsed.commands,
    users: Object.entries(parsed.users).map(([aor, { password = '' }]) => ({ aor, password })),
    ...(parsed.edge && { edge: assembleEdge(parsed.edge, absolute, data) }),
  };
}

function assemblePublished(
  id: string,
  device: ParsedConfig['devices'][string],
  account: ParsedAccount,
): PublishedDevice {
  const detail = device.detail ?? account.detail;
  if (device.aor === undefined) return { id, detail };
  // Without credentials of its own a device authenticates as its account.
  const password = device.password ?? account.password;
  const aorUser = (aor: string) => parseUri(aor).user ?? '';
  const user =
    device.user ??
    (device.password === undefined ? (account.user ?? aorUser(account.aor)) : aorUser(device.aor));
  return { id, detail, own: { aor: device.aor, user, ...(password !== undefined && { password }) } };
}

/** The rules of a signal, without the way from its source. */
function signalOptions(signal: ParsedSignal): SignalOptions {
  const { topic: _t, path: _p, time: _i, qos: _q, match: _m, write, every: _e, ...rules } = signal;
  return { ...rules, writable: write !== undefined };
}

function assembleSources(
  parsed: ParsedConfig,
  clientIdOf: (source: string) => string,
): { mqtt: MqttSourceOptions[]; serial: SerialSourceOptions[] } {
  const mqtt: MqttSourceOptions[] = [];
  const serial: SerialSourceOptions[] = [];
  for (const [id, source] of Object.entries(parsed.sources)) {
    const signals = Object.entries(parsed.devices).flatMap(([device, { signals }]) =>
      Object.entries(signals)
        .filter(([, signal]) => signal.source === id)
        .map(([signal, options]) => ({ device, signal, options })),
    );
    if (source.type === 'mqtt') {
      const { type: _, protocol, passwordFile: _p, clientId, ...options } = source;
      mqtt.push({
        ...options,
        id,
        protocolVersion: protocol,
        clientId: clientId ?? clientIdOf(id),
        bindings: signals.map(({ device, signal, options }) => mqttBinding(device, signal, options)),
      });
    } else {
      const { type: _, ...options } = source;
      serial.push({
        ...options,
        id,
        bindings: signals.map(({ device, signal, options }) => serialBinding(device, signal, options)),
      });
    }
  }
  return { mqtt, serial };
}

function mqttBinding(device: string, signal: string, options: ParsedSignal): MqttBinding {
  const { topic = '', path, time, qos, write, values } = options;
  return {
    device,
    signal,
    topic,
    ...(qos !== undefined && { qos }),
    ...(path !== undefined && { path }),
    ...(time !== undefined && { time }),
    ...(typeof write === 'object' && { write }),
    ...(values && { values }),
  };
}

function serialBinding(device: string, signal: string, options: ParsedSignal): SerialBinding {
  const { match, write, values } = options;
  return {
    device,
    signal,
    ...(match !== undefined && { match }),
    ...(typeof write === 'string' && { write }),
    ...(values && { values }),
  };
}

function assembleEdge(
  edge: NonNullable<ParsedConfig['edge']>,
  absolute: (path: string) => string,
  data: string,
): EdgeOptions {
  const { minExpires, maxExpires, users, data: own, ...options } = edge;
  const lifetimes = { min: minExpires, max: maxExpires };
  return {
    ...options,
    users: Object.fromEntries(
      Object.entries(users).map(([user, { password, aors }]) => [user, { password, ...(aors && { aors }) }]),
    ),
    data: own === undefined ? join(data, 'edge') : absolute(own),
    registration: lifetimes,
    publication: lifetimes,
    subscription: lifetimes,
  };
}

/** Hides the machine id, as machine-id(5) asks for. */
function hash(machine: string, ...parts: string[]): string {
  return createHmac('sha256', machine).update(parts.join('\n')).digest('hex');
}

/** A UUID of the name-based kind (RFC 9562 §5.8) from a hash. */
function uuid(hex: string): string {
  const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 0x3) | 0x8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

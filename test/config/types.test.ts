import * as assert from 'uvu/assert';
import type { AccountOptions, AgentOptions } from '../../src/agent/options.ts';
import type { Level } from '../../src/base/log.ts';
import type { CommandRule } from '../../src/commands/authorise.ts';
import type { Config } from '../../src/config/assemble.ts';
import type { ParsedConfig } from '../../src/config/schema/config.ts';
import type { DeviceOptions, SignalOptions, StateRow } from '../../src/device/options.ts';
import type { EdgeOptions, Listen } from '../../src/edge/options.ts';
import type { MqttSourceOptions, MqttTls, MqttWrite } from '../../src/sources/mqtt/options.ts';
import type { SerialSourceOptions } from '../../src/sources/serial/options.ts';
import { suite } from '../support/harness.ts';

const test = suite('what the schema makes is what the rooms take');

type Parsed = {
  [Block in keyof ParsedConfig]: ParsedConfig[Block] extends Record<string, infer Entry> ? Entry : never;
};
type Signal = Parsed['devices']['signals'][string];
type Source<Type> = Extract<Parsed['sources'], { type: Type }>;

/** Fails to compile when the first cannot be used as the second. */
type Fits<Made extends Taken, Taken> = [Made, Taken];

/** Each line is a test that the compiler runs. */
export type Checked = [
  Fits<Omit<Signal, 'topic' | 'path' | 'time' | 'qos' | 'match' | 'write' | 'every'>, SignalOptions>,
  Fits<NonNullable<Parsed['devices']['states']>[number], StateRow>,
  Fits<Exclude<Signal['write'], string | undefined>, MqttWrite>,
  Fits<NonNullable<Source<'mqtt'>['tls']>, MqttTls>,
  Fits<Omit<Source<'serial'>, 'type'> & Pick<SerialSourceOptions, 'id' | 'bindings'>, SerialSourceOptions>,
  Fits<NonNullable<ParsedConfig['edge']>['listen'][number], Listen>,
  Fits<NonNullable<ParsedConfig['edge']>['limits'], NonNullable<EdgeOptions['limits']>>,
  Fits<ParsedConfig['commands'][number], CommandRule>,
  Fits<Config['devices'], readonly DeviceOptions[]>,
  Fits<Config['mqtt'], readonly MqttSourceOptions[]>,
  Fits<Config['serial'], readonly SerialSourceOptions[]>,
  Fits<NonNullable<Config['edge']>, EdgeOptions>,
  Fits<Config, AgentOptions>,
  Fits<Config['log']['level'], Level>,
];

/** Every key of a room's options can be said in the file, but for those that only the program knows. */
type Unsaid<Taken, Made, Known extends string> = Exclude<keyof Taken, keyof Made | Known>;
export type Complete = [
  Fits<Unsaid<SignalOptions, Signal, 'writable'>, never>,
  Fits<Unsaid<StateRow, NonNullable<Parsed['devices']['states']>[number], never>, never>,
  Fits<Unsaid<MqttSourceOptions, Source<'mqtt'>, 'id' | 'bindings' | 'protocolVersion'>, never>,
  Fits<Unsaid<SerialSourceOptions, Source<'serial'>, 'id' | 'bindings'>, never>,
  // Where the edge is in this process the composition root knows its address.
  Fits<Unsaid<AccountOptions, Parsed['accounts'], 'id' | 'devices' | 'instance' | 'target'>, never>,
  Fits<Unsaid<CommandRule, ParsedConfig['commands'][number], never>, never>,
];

test('the compiler has checked it', () => {
  const checked: Checked | undefined = undefined;
  assert.is(checked, undefined);
});

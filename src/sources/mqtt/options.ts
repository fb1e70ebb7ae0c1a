import type { ValueRules } from '../../device/options.ts';

/** How one signal of one device is read from, and written to, an MQTT broker. */
export interface MqttBinding {
  readonly device: string;
  readonly signal: string;
  /** Topic filter (MQTT 5 §4.7): `+` and `#` as usual; every topic that matches feeds this one signal. Empty:
   * the signal is only written. */
  readonly topic: string;
  readonly qos?: 0 | 1 | 2 | undefined;
  /** Where in a JSON payload the value is: `temp`, `a.b[2].c`, `["odd name"].x`. Without it the payload is the value. */
  readonly path?: string | undefined;
  /** Where in a JSON payload its time is: seconds or milliseconds since 1970, or an RFC 3339 string. */
  readonly time?: string | undefined;
  readonly write?: MqttWrite | undefined;
  /** The signal's values, so that a write translates back: `{ ON: true }` publishes `ON` for true. */
  readonly values?: ValueRules | undefined;
}

/** How a value is written. Never retained: a retained command would act again at every reconnect. */
export interface MqttWrite {
  readonly topic: string;
  /** Template; default `{value}`. */
  readonly payload?: string | undefined;
  /** Default 0. */
  readonly qos?: 0 | 1 | 2 | undefined;
}

/** PEM texts, read by whoever made the options. */
export interface MqttTls {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** The name that the certificate must carry, where it is not the host of the URL. */
  readonly servername?: string | undefined;
}

/** One broker. All times are milliseconds. */
export interface MqttSourceOptions {
  readonly id: string;
  /** `mqtt://host[:1883]` or `mqtts://host[:8883]`. */
  readonly url: string;
  /** 4 is MQTT 3.1.1. Default 4. */
  readonly protocolVersion?: 4 | 5 | undefined;
  /** Stable and unique on the broker: two clients of one id throw each other out for ever. */
  readonly clientId: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly tls?: MqttTls | undefined;
  /** Default 30 s. */
  readonly keepalive?: number | undefined;
  /** From opening the socket to CONNACK, then for SUBACK. Default 15 s. */
  readonly connectTimeout?: number | undefined;
  /** Where `online` and `offline` are published, retained; `offline` is also the will. Without it neither is. */
  readonly statusTopic?: string | undefined;
  /** A larger payload is counted and dropped. Default 65,536 bytes. */
  readonly maxPayload?: number | undefined;
  /** How long a write may take. Default 5 s. */
  readonly writeTimeout?: number | undefined;
  readonly bindings: readonly MqttBinding[];
}

/** The configuration of the demo, as a user would write it. */
export function sceneFile(options: { broker: string; port: string; folder: string }): string {
  return `version: 1
data: ${options.folder}/data
runtime: ${options.folder}/run
edge:
  domains: [demo.test]
  listen: ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"]
  users:
    gateway: { password_file: gateway.secret, aors: ["sip:lamp@demo.test"] }
    alice: { password_file: alice.secret }
    bob: { password_file: bob.secret }
    mallory: { password_file: mallory.secret }
accounts:
  main:
    aor: sip:gateway@demo.test
    password_file: gateway.secret
    detail: lean
sources:
  plant: { type: mqtt, url: "${options.broker}" }
  board: { type: serial, port: "${options.port}", baud: 115200 }
devices:
  freezer:
    name: Freezer 2
    signals:
      temperature: { source: plant, topic: cold/freezer2, path: temp, unit: Cel, deadband: 0.2, stale: 5s, decimals: 1 }
      door: { source: board, match: '^DOOR=(open|shut)$', stale: 15s }
    states:
      - { when: "temperature > -10", note: "too warm: {temperature} °C" }
      - { when: "door == open", note: "door open, {temperature} °C" }
      - { note: "{temperature} °C" }
  door:
    name: Cold store door
    signals:
      door: { source: board, match: '^DOOR=(open|shut)$', stale: 15s }
    states:
      - { note: "{door}" }
  lamp:
    name: Lamp
    aor: sip:lamp@demo.test
    signals:
      on: { source: plant, topic: lamp/state, write: { topic: lamp/set }, values: [true, false], retained: trust, stale: never }
    states:
      - { when: "on == true", activity: busy, note: "on" }
      - { note: "off" }
  beacon:
    name: Beacon
    signals:
      light: { source: board, match: '^LAMP=(on|off)$', write: "LAMP={value}\\n", values: ["on", "off"], stale: 15s }
    states:
      - { note: "{light}" }
commands:
  - { from: "sip:alice@demo.test", verbs: [status, get, set] }
  - { from: "sip:bob@demo.test", verbs: [status, get, set] }
`;
}

/** Who is who in the demo. The passwords guard a server on loopback that lives for a minute. */
export const PEOPLE = ['gateway', 'alice', 'bob', 'mallory'] as const;

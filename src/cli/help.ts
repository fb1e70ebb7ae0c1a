import { table } from './table.ts';
import { COMMON, type Flags, type Verb } from './verb.ts';

/** The help of one verb. */
export function verbHelp(verb: Verb): string {
  const rows = [
    `usage: presentity ${verb.name}${verb.usage === '' ? '' : ` ${verb.usage}`}`,
    '',
    `${verb.summary}`,
  ];
  if (verb.description !== undefined) rows.push('', verb.description);
  rows.push('', 'flags:', ...flagRows({ ...verb.flags, ...COMMON }));
  return rows.join('\n');
}

function flagRows(flags: Flags): string[] {
  return table(
    Object.entries(flags).map(([name, { short, value, many, help }]) => [
      `  ${short === undefined ? '   ' : `-${short},`} --${name}${value === undefined ? '' : ` ${value}`}`,
      many ? `${help} May be given several times.` : help,
    ]),
  );
}

const HELP = { name: 'help', summary: 'tell about a verb' };

/** The help of the program. */
export function programHelp(verbs: readonly { readonly name: string; readonly summary: string }[]): string {
  return [
    'usage: presentity VERB [flags]',
    '',
    'Devices as buddies: reads serial lines and MQTT, publishes SIP presence, takes commands by SIP MESSAGE.',
    '',
    'verbs:',
    ...table([...verbs, HELP].map(({ name, summary }) => [`  ${name}`, summary])),
    '',
    '"presentity VERB --help" tells more. Exit status 0 is well; 64 wrong usage, 69 peer unavailable, 73 cannot write,',
    '75 try again, 77 not permitted, 78 wrong configuration.',
  ].join('\n');
}

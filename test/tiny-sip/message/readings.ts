/**
 * A program for `interpreted.test.ts`: reads every torture message and many mutated ones, asks and marks all of them,
 * and prints a digest of what each lot said. Argument: how many lots.
 */
import { createHash } from 'node:crypto';
import { mark } from '../../../src/tiny-sip/dialog/incoming.ts';
import { checkRequest, checkResponse } from '../../../src/tiny-sip/message/check.ts';
import { parseMessage } from '../../../src/tiny-sip/message/parse.ts';
import { compiled } from '../../../src/tiny-sip/message/patterns.ts';
import { serialise } from '../../../src/tiny-sip/message/serialise.ts';
import type { Flow } from '../../../src/tiny-sip/transport/transport.ts';
import { createMutator, seedMessages } from '../../fuzz/mutate.ts';
import { createFakeRandom } from '../../support/fake-random.ts';
import { told } from './told.ts';

const lots = Number(process.argv[2] ?? 1);
const mutator = createMutator(createFakeRandom(20_261_212));
/** Nothing but its remote address is looked at. */
const flow = { protocol: 'udp', remote: { host: '203.0.113.9', port: 4321 } } as Flow;

console.log('compiled', compiled);
read(seedMessages().map((text) => Buffer.from(text, 'latin1')));
for (let lot = 0; lot < lots; lot += 1) read(Array.from({ length: 500 }, () => mutator.next()));

function read(messages: readonly Buffer[]): void {
  const hash = createHash('sha256');
  for (const bytes of messages) hash.update(JSON.stringify(tell(bytes)));
  console.log(messages.length, hash.digest('hex'));
}

function tell(bytes: Buffer): unknown {
  const result = parseMessage(bytes);
  const message = result.ok ? result.message : result.partial;
  const first = [result.ok ? 'ok' : result.code, result.length];
  if (message === undefined) return first;
  const asked = [...first, told(message)];
  if (message.kind === 'response') return [...asked, message.status, message.reason, checkResponse(message)];
  const all = [...asked, message.method, message.uri, checkRequest(message)];
  try {
    mark(message, flow);
    return [...all, told(message), serialise(message).toString('latin1')];
  } catch (error) {
    return [...all, error instanceof Error ? error.message : error];
  }
}

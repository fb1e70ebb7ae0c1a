/**
 * `make fuzz`: a million mutated messages through a running stack. FUZZ_MESSAGES and FUZZ_SECONDS bound the run, FUZZ_SEED
 * repeats one. Fails when anything is thrown, logged as an error, left unanswered or grows.
 */
import { createFakeRandom } from '../support/fake-random.ts';
import { type FuzzState, fuzz } from './drive.ts';
import { slope } from './slope.ts';

const number = (name: string, otherwise: number): number => {
  const value = Number(process.env[name] ?? otherwise);
  if (!Number.isFinite(value) || value < 0) throw new Error(`${name} is no number`);
  return value;
};

const seed = number('FUZZ_SEED', Date.now() % 1_000_000_000);
const messages = number('FUZZ_MESSAGES', 1_000_000);
const seconds = number('FUZZ_SECONDS', 0);
/** What the run may grow by, from when it is warm to its end, in MiB. */
const MOST_GROWTH = 24;
const MIB = 2 ** 20;

console.log(`seed ${seed}: ${messages} mutated messages${seconds > 0 ? `, ${seconds} s at most` : ''}`);
const samples: { seen: number; rss: number; heap: number }[] = [];
const started = performance.now();
let due = 0;

const progress = ({ seen, counts }: FuzzState): void => {
  if (seen < due) return;
  due += messages / 50;
  globalThis.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  samples.push({ seen, rss: rss / MIB, heap: (heapUsed + external) / MIB });
  if (samples.length % 5 !== 1) return;
  const rate = seen / ((performance.now() - started) / 1_000);
  const tables = `${counts['transactions.server']} + ${counts['transactions.client']} transactions`;
  console.log(
    `${seen} seen, ${rate.toFixed(0)}/s, RSS ${(rss / MIB).toFixed(1)} MiB, heap ${(heapUsed / MIB).toFixed(1)} MiB, ${tables}`,
  );
};

const result = await fuzz({
  random: createFakeRandom(seed),
  messages,
  progress,
  ...(seconds > 0 ? { until: started + seconds * 1_000 } : {}),
});

const warm = samples.filter(({ seen }) => seen > result.seen * 0.3);
const growth = (of: (sample: (typeof samples)[number]) => number): number =>
  slope(warm.map((sample) => [sample.seen, of(sample)])) * result.seen * 0.7;
const [rss, heap] = [growth((sample) => sample.rss), growth((sample) => sample.heap)];
const answers = [...result.answers].sort(([a], [b]) => a - b).map(([status, times]) => `${status}: ${times}`);
console.log(`answers ${answers.join(', ')}`);
console.log(
  `seen ${result.seen} in ${((performance.now() - started) / 1_000).toFixed(0)} s; after warm-up RSS grew by ${rss.toFixed(1)} MiB, heap by ${heap.toFixed(1)} MiB`,
);
for (const wrong of result.wrongs) console.log(`WRONG ${wrong}`);
const grew = warm.length >= 10 && (rss > MOST_GROWTH || heap > MOST_GROWTH);
if (grew) console.log(`WRONG memory is not flat: more than ${MOST_GROWTH} MiB`);
if (result.wrongs.length > 0 || grew) {
  console.log(`repeat with FUZZ_SEED=${seed} FUZZ_MESSAGES=${messages} make fuzz`);
  process.exitCode = 1;
}

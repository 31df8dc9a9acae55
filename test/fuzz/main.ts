// `npm run fuzz [-- TARGET…] [--inputs N] [--seed S] [--keep]`: 10^6 inputs for each target, or what is asked for.
// Exit: 0 nothing found · 1 findings, each kept as a file of the corpus · 2 usage.
import { parseArgs } from 'node:util';
import { messageOf } from '../../src/base/errors.ts';
import type { FuzzReport } from './engine.ts';
import type { FuzzTarget } from './target.ts';
import { targets } from './targets.ts';
import { fuzzWatched, keepInput } from './watched.ts';

const inputsDefault = 1_000_000;
/** Files of the corpus that one run may add: it is kept in the repository. */
const keptMax = 64;
const usage = `usage: npm run fuzz [-- [--inputs N] [--seed S] [--keep] TARGET…]
  TARGET      ${targets.map(({ name }) => name).join(', ')}; all unless given
  --inputs N  inputs for each target; ${inputsDefault} unless given
  --seed S    repeats a run; the time unless given
  --keep      adds inputs with an outcome that is new to test/fuzz/corpus, ${keptMax} at most
`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      inputs: { type: 'string', default: String(inputsDefault) },
      seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const [inputs, seed] = [Number(values.inputs), Number(values.seed)];
  const chosen = targets.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  const isKnown = positionals.every((name) => chosen.some((target) => target.name === name));
  if (values.help || !isKnown || !Number.isInteger(inputs) || inputs < 1 || !Number.isInteger(seed)) {
    (values.help ? process.stdout : process.stderr).write(usage);
    return values.help ? 0 : 2;
  }
  let found = 0;
  for (const target of chosen) {
    const startMs = performance.now();
    const report = await fuzzWatched(target, inputs, seed);
    process.stdout.write(`${line(target, report, (performance.now() - startMs) / 1000)}\n`);
    if (values.keep) for (const input of report.fresh.slice(0, keptMax)) keepInput(target, input);
    for (const { kind, what, input } of report.findings) {
      found++;
      const where = input.length === 0 ? '' : `, kept as ${keepInput(target, input, `${kind}-`)}`;
      process.stdout.write(
        `FOUND in ${target.name}, seed ${seed}: ${kind}${where}\n  ${what.replaceAll('\n', '\n  ')}\n`,
      );
    }
  }
  return found > 0 ? 1 : 0;
}

function line(target: FuzzTarget, report: FuzzReport, seconds: number): string {
  const [before, after] = report.memory.map((bytes) => `${(bytes / 2 ** 20).toFixed(0)}`);
  const rate = Math.round(report.runs / seconds);
  const counts = `${report.runs} inputs, ${report.outcomes} outcomes, ${rate}/s`;
  return `${target.name.padEnd(12)} ${counts}, memory ${before} → ${after} MiB`;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`fuzz: ${messageOf(error)}\n`);
  process.exitCode = 2;
}

// `npm run chaos -- [--seed S] [--minutes M]`: random faults under load, until the time is over or something does not
// hold. Exit code 0 only when everything held.
import { parseArgs } from 'node:util';
import { runChaos } from './chaos.ts';

const usage = `usage: npm run chaos -- [--seed N] [--minutes M]
  Breaks a lab of two nodes at random under mixed load. Default: a seed of the day's chance, 2 minutes.
  A failure prints the seed that repeats it, and what was done until then.
`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { seed: { type: 'string' }, minutes: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  const minutes = Number(values.minutes ?? 2);
  if (values.help || !Number.isSafeInteger(seed) || !(minutes > 0)) {
    process.stderr.write(usage);
    return values.help ? 0 : 2;
  }
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  print(`chaos with seed ${seed} for ${minutes} min`);
  const result = await runChaos(seed, minutes * 60, print);
  print(`${result.episodes} episodes; streams by how they ended:`);
  for (const [name, count] of Object.entries(result.tally).sort()) print(`  ${name.padEnd(24)} ${count}`);
  print(`before ${JSON.stringify(result.before)}`);
  print(`after  ${JSON.stringify(result.after)}`);
  if (result.failures.length === 0) return 0;
  for (const failure of result.failures) print(`FAILED: ${failure}`);
  print(`repeat it with: npm run chaos -- --seed ${seed} --minutes ${minutes}`);
  return 1;
}

process.exitCode = await main();

// `npm run incident`: breaks a running demo on purpose, for people who want to see what it looks like. Whoever stops it
// with Ctrl-C leaves nothing broken.
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { MeshError, messageOf } from '../../src/base/errors.ts';
import { exitCodeOf, exitCodes } from '../../src/cli/exit-codes.ts';
import { type CliIo, processIo } from '../../src/cli/io.ts';
import { shown } from '../../src/cli/progress.ts';
import { findLab, type LabClient, listLabs } from '../../src/lab/control-client.ts';
import { incidents } from './all.ts';
import { type Incident, waypointFolder } from './incident.ts';

const usage = `npm run incident -- NAME [--lab demo] [--mend]

Breaks a running demo (npm run demo, or npm run demo -- --keep) on purpose, and says what to try.
  --lab NAME   the lab; default: demo
  --mend       undo it
  --all        one after the other: break, wait for Enter, mend; Ctrl-C mends and ends
  --list       what there is
`;

async function main(args: readonly string[], io: CliIo): Promise<void> {
  const flag = { type: 'boolean', default: false } as const;
  const options = { lab: { type: 'string', default: 'demo' }, mend: flag, all: flag, list: flag, help: flag } as const;
  const { values, positionals } = parsed(() => parseArgs({ args: [...args], options, allowPositionals: true }));
  if (values.help) return void process.stdout.write(usage);
  if (values.list) return void process.stdout.write(listText());
  if (values.all) return await runAll(await demoLab(values.lab), io);
  const incident = incidents.find(({ name }) => name === positionals[0]);
  if (incident === undefined || positionals.length !== 1) {
    throw new MeshError('USAGE', { reason: `name one of: ${incidents.map(({ name }) => name).join(', ')}` });
  }
  const lab = await demoLab(values.lab);
  if (values.mend) {
    await mend(incident, lab, io);
  } else {
    await breakIt(incident, lab, io);
  }
}

/** Breaks, and says what to try; false when it was interrupted, and is mended again. */
async function breakIt(incident: Incident, lab: LabClient, io: CliIo): Promise<boolean> {
  const interruption = io.interruption();
  await shown(io, `until ${incident.breaks}`, () => incident.breakIt(lab));
  if (!interruption.aborted) {
    io.stdout.write(adviceText(incident, lab));
    return true;
  }
  await mend(incident, lab, io);
  process.exitCode = exitCodes.interrupted;
  return false;
}

async function mend(incident: Incident, lab: LabClient, io: CliIo): Promise<void> {
  await shown(io, 'until it is mended', () => incident.mend(lab));
  io.stderr.write(`mended: ${incident.breaks}\n`);
}

function parsed<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new MeshError('USAGE', { reason: `${messageOf(error)}\n${usage}` });
  }
}

function listText(): string {
  const width = Math.max(...incidents.map(({ name }) => name.length));
  return incidents.map(({ name, breaks }) => `${name.padEnd(width)}  ${breaks}\n`).join('');
}

/** The lab that is meant, with its waypoint: requests are what most incidents are about. */
async function demoLab(name: string): Promise<LabClient> {
  if (!listLabs().some((lab) => lab.name === name)) {
    const hint = 'start one with: npm run demo (in another terminal), or name yours with --lab';
    throw new MeshError('NOT_FOUND', { what: `lab ${name}`, hint });
  }
  const lab = findLab(name);
  const there = (await lab.get('Gateway')) as { metadata: { namespace: string } }[];
  if (!there.some(({ metadata }) => metadata.namespace === 'shop')) {
    process.stderr.write('the shop gets its waypoint\n');
    await lab.apply([waypointFolder]);
  }
  return lab;
}

function adviceText({ breaks, command, alert, sights, runbook, name, note }: Incident, { lab }: LabClient): string {
  return [
    `broken: ${breaks}`,
    ...(note === undefined ? [] : [`  mind:          ${note}`]),
    `  find out why:  npx ambientctl ${command.join(' ')} --lab ${lab.name}`,
    `  on the page:   npx ambientctl dashboard --lab ${lab.name}`,
    ...sights.map(({ place }) => `                 ${place}`),
    `  alert:         ${alert.name}`,
    `  runbook:       docs/runbook.md#${runbook}`,
    `  mend it:       npm run incident -- ${name} --mend --lab ${lab.name}`,
    '',
  ].join('\n');
}

async function runAll(lab: LabClient, io: CliIo): Promise<void> {
  const interruption = io.interruption();
  const interrupted = once(interruption, 'abort').then(() => false);
  const lines = createInterface({ input: process.stdin, terminal: false });
  const typed = lines[Symbol.asyncIterator]();
  for (const incident of incidents) {
    if (!(await breakIt(incident, lab, io))) break;
    io.stderr.write('Enter mends it and goes on, Ctrl-C mends it and ends ');
    // Nobody is there to press it where the input ends.
    const goesOn = await Promise.race([typed.next().then(({ done }) => done !== true), interrupted]);
    if (!goesOn) io.stderr.write('\n');
    await mend(incident, lab, io);
    if (!goesOn) break;
  }
  if (interruption.aborted) process.exitCode = exitCodes.interrupted;
  lines.close();
}

try {
  await main(process.argv.slice(2), processIo());
} catch (error) {
  process.stderr.write(`incident: ${MeshError.from(error).message}\n`);
  process.exitCode = exitCodeOf(error) || exitCodes.failureFound;
}

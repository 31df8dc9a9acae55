// `npm run incident`: breaks a running demo on purpose, for people who want to see what it looks like.
import { parseArgs } from 'node:util';
import { MeshError, messageOf } from '../../src/base/errors.ts';
import { exitCodeOf, exitCodes } from '../../src/cli/exit-codes.ts';
import { findLab, type LabClient, listLabs } from '../../src/lab/control-client.ts';
import { incidents } from './all.ts';
import { type Incident, waypointFolder } from './incident.ts';

const usage = `npm run incident -- NAME [--lab demo] [--mend]

Breaks a running demo (npm run demo, or npm run demo -- --keep) on purpose, and says what to try.
  --lab NAME   the lab; default: demo
  --mend       undo it
  --all        one after the other: break, wait for Enter, mend
  --list       what there is
`;

async function main(args: readonly string[]): Promise<void> {
  const flag = { type: 'boolean', default: false } as const;
  const options = { lab: { type: 'string', default: 'demo' }, mend: flag, all: flag, list: flag, help: flag } as const;
  const { values, positionals } = parsed(() => parseArgs({ args: [...args], options, allowPositionals: true }));
  if (values.help) return void process.stdout.write(usage);
  if (values.list) return void process.stdout.write(listText());
  if (values.all) return await runAll(await demoLab(values.lab));
  const incident = incidents.find(({ name }) => name === positionals[0]);
  if (incident === undefined || positionals.length !== 1) {
    throw new MeshError('USAGE', { reason: `name one of: ${incidents.map(({ name }) => name).join(', ')}` });
  }
  const lab = await demoLab(values.lab);
  if (values.mend) {
    await incident.mend(lab);
    process.stderr.write(`mended: ${incident.breaks}\n`);
  } else {
    await incident.breakIt(lab);
    process.stdout.write(adviceText(incident, lab));
  }
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

function adviceText({ breaks, command, alert, runbook, name, note }: Incident, { lab }: LabClient): string {
  return [
    `broken: ${breaks}`,
    ...(note === undefined ? [] : [`  mind:          ${note}`]),
    `  find out why:  npx ambientctl ${command.join(' ')} --lab ${lab.name}`,
    '  on the page:   npx ambientctl dashboard',
    `  alert:         ${alert.name}`,
    `  runbook:       docs/runbook.md#${runbook}`,
    `  mend it:       npm run incident -- ${name} --mend --lab ${lab.name}`,
    '',
  ].join('\n');
}

async function runAll(lab: LabClient): Promise<void> {
  for (const incident of incidents) {
    await incident.breakIt(lab);
    process.stdout.write(adviceText(incident, lab));
    process.stderr.write('Enter mends it and goes on ');
    await new Promise((resolve) => process.stdin.once('data', resolve));
    await incident.mend(lab);
  }
  process.stdin.pause();
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`incident: ${MeshError.from(error).message}\n`);
  process.exitCode = exitCodeOf(error) || exitCodes.failureFound;
}

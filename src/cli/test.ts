// `ambientctl test`: proves from end to end that the mesh at hand does what it should, with clients and servers of its
// own.
import { writeFile } from 'node:fs/promises';
import { MeshError, messageOf } from '../base/errors.ts';
import {
  type Command,
  type CommandContext,
  type CommandResult,
  durationOption,
  flagOption,
  textOption,
} from './command.ts';
import { exitCodes } from './exit-codes.ts';
import { type CliIo, endsInItsOwnTime } from './io.ts';
import type { OperableMesh } from './mesh.ts';
import { waiting } from './progress.ts';
import { ProofBed } from './proofs/bed.ts';
import { labImage } from './proofs/objects.ts';
import { type Proof, proofs } from './proofs/proofs.ts';
import { junitText, type ProofResult, runProofs } from './proofs/run.ts';
import { type Column, table } from './table.ts';
import { meshOf } from './which-mesh.ts';

const timeoutMs = 120_000;
const settleMs = 20_000;
const nodeProxy = 'ambient-node';
const namespacePattern = /^[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?$/;

/** Exit 1 when a proof fails; 130 after Ctrl-C, with everything taken away. */
export const test: Command = async (context) => {
  const chosen = chosenProofs(textOption(context, 'test'));
  if (flagOption(context, 'list')) return listResult(chosen);
  const { io } = context;
  const mesh = await meshOf(context);
  const bed = new ProofBed(mesh, await optionsOf(context, mesh));
  endsInItsOwnTime(io.interruption());
  const { namespace, outside, near, far } = bed.options;
  const leaves = 'its namespaces are taken away';
  const file = textOption(context, 'junitFile');
  let results: ProofResult[] = [];
  try {
    const what = `clients and servers in ${namespace}`;
    await waiting(io, { what, leaves }, (say) => bed.setUp(say)).catch(async (error: unknown) => {
      // A pipeline that looks for the file is to find why there is no proof.
      if (file !== undefined && !io.interruption().aborted) await saved(file, junitText([withoutBed(error)]));
      throw error;
    });
    const places = `${namespace} and ${outside}, on ${near === far ? near : `${near} and ${far}`}`;
    io.stderr.write(`${mesh.title}: ${chosen.length} proof${chosen.length === 1 ? '' : 's'} in ${places}\n`);
    const options = { disruptive: flagOption(context, 'disruptive'), signal: io.interruption() };
    results = await runProofs(io, bed, chosen, options);
  } finally {
    if (flagOption(context, 'keep')) io.stderr.write(`kept: namespaces ${namespace} and ${outside}\n`);
    else await takenAway(io, bed);
  }
  if (file !== undefined) await saved(file, junitText(results));
  return testResult(results, flagOption(context, 'keep'));
};

/** What CI reads when no proof could be tried. */
function withoutBed(error: unknown): ProofResult {
  const base = { name: 'set-up', title: 'clients and servers of the proofs run', actions: [], tookMs: 0 };
  return { ...base, result: 'fails', reason: messageOf(error), next: 'ambientctl check' };
}

/** The result for proofs that have been tried; `isKept`: their namespaces are still there to look at. */
export function testResult(results: readonly ProofResult[], isKept = false): CommandResult {
  const count = (result: ProofResult['result']): number => results.filter((one) => one.result === result).length;
  const [holding, failing, skipped] = [count('holds'), count('fails'), count('skipped')];
  const actions = results.flatMap((one) => one.actions);
  const held = actions.filter(({ holds }) => holds).length;
  const summary = { holds: holding, fails: failing, skipped, actions: { holds: held, of: actions.length } };
  const columns: readonly Column<ProofResult>[] = [
    { header: 'PROOF', value: ({ name }) => name },
    { header: 'RESULT', value: ({ result }) => result, tone: ({ result }) => toneOf(result) },
    { header: 'TOOK', value: ({ tookMs }) => `${(tookMs / 1000).toFixed(1)}s`, right: true },
    { header: 'WHAT', value: ({ title, reason }) => (reason === null ? title : `${title}: ${reason}`) },
  ];
  const proven = `${holding} of ${holding + failing} proofs hold`;
  const line = `${proven} (${held} of ${actions.length} actions), ${skipped} skipped`;
  return {
    data: { proofs: results, summary },
    text: (view) => `${table(columns, results, view)}\n${view.paint(line, failing > 0 ? 'bad' : 'good')}\n`,
    talk: () =>
      isKept ? results.map(({ next }) => (next === null ? '' : `next: ${next}\n`)).join('') : again(results),
    exitCode: failing > 0 ? exitCodes.failureFound : exitCodes.fine,
  };
}

/** What was looked at is gone: the way back to it. */
function again(results: readonly ProofResult[]): string {
  const failing = results.filter(({ result }) => result === 'fails').map(({ name }) => name);
  if (failing.length === 0) return '';
  const disruptive = proofs.some((one) => one.disruptive === true && failing.includes(one.name)) ? ' --disruptive' : '';
  return `next: ambientctl test --test '^(${failing.join('|')})$' --keep${disruptive}, and what it says to look at\n`;
}

function toneOf(result: ProofResult['result']): 'good' | 'bad' | 'dim' {
  return result === 'holds' ? 'good' : result === 'fails' ? 'bad' : 'dim';
}

/** `REGEX`, or `!REGEX` for all the others. Throws USAGE for what is none, and where none is left. */
export function chosenProofs(text: string | undefined): readonly Proof[] {
  if (text === undefined) return proofs;
  const isNegated = text.startsWith('!');
  let pattern: RegExp;
  try {
    pattern = new RegExp(isNegated ? text.slice(1) : text);
  } catch (error) {
    throw new MeshError('USAGE', { reason: `--test '${text}' is no pattern: ${messageOf(error)}` }, { cause: error });
  }
  const chosen = proofs.filter(({ name }) => pattern.test(name) !== isNegated);
  if (chosen.length > 0) return chosen;
  const names = proofs.map(({ name }) => name).join(', ');
  throw new MeshError('USAGE', { reason: `--test '${text}' names no proof; there are ${names}` });
}

function listResult(chosen: readonly Proof[]): CommandResult {
  const rows = chosen.map(({ name, title, disruptive }) => ({ name, title, disruptive: disruptive === true }));
  const columns: readonly Column<(typeof rows)[number]>[] = [
    { header: 'PROOF', value: ({ name }) => name },
    { header: 'WHAT', value: ({ title, disruptive }) => (disruptive ? `${title} (with --disruptive)` : title) },
  ];
  return { data: { proofs: rows }, text: (view) => table(columns, rows, view) };
}

async function optionsOf(context: CommandContext, mesh: OperableMesh): Promise<ProofBed['options']> {
  const prefix = textOption(context, 'namespace') ?? 'ambient-test';
  if (!namespacePattern.test(prefix)) {
    throw new MeshError('USAGE', { reason: `--namespace '${prefix}' cannot begin the name of a namespace` });
  }
  const [near, far = near] = await mesh.nodes();
  if (near === undefined) {
    throw new MeshError('NOT_REACHABLE', {
      what: 'a node with a proxy',
      reason: 'there is none',
      hint: 'see: ambientctl status',
    });
  }
  // A run that was killed may have left its namespaces behind: another one does not meet them.
  const run = Date.now().toString(36).slice(-5);
  return {
    namespace: `${prefix}-${run}`,
    outside: `${prefix}-${run}-outside`,
    near,
    far: far ?? near,
    image: textOption(context, 'image') ?? (await imageOf(mesh)),
    timeoutMs: durationOption(context, 'timeout', timeoutMs),
    settleMs: durationOption(context, 'settle', settleMs),
    signal: context.io.interruption(),
  };
}

/** In a cluster the image that node proxies run. */
async function imageOf(mesh: OperableMesh): Promise<string> {
  if (mesh.isLab) return labImage;
  const found = (await mesh.objects('DaemonSet')) as readonly {
    metadata: { name: string };
    spec?: { template?: { spec?: { containers?: readonly { image?: string }[] } } };
  }[];
  const image = found.find(({ metadata }) => metadata.name === nodeProxy)?.spec?.template?.spec?.containers?.[0]?.image;
  if (image !== undefined) return image;
  throw new MeshError('USAGE', {
    reason: `there is no DaemonSet ${nodeProxy} to take an image from: say --image IMAGE`,
  });
}

/** Also after Ctrl-C. */
async function takenAway(io: CliIo, bed: ProofBed): Promise<void> {
  try {
    await bed.tearDown();
  } catch (error) {
    const { namespace, outside } = bed.options;
    const left = bed.mesh.isLab ? 'they go with the lab' : `kubectl delete namespace ${namespace} ${outside}`;
    io.stderr.write(`not taken away: ${messageOf(error)}; ${left}\n`);
  }
}

async function saved(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text);
  } catch (error) {
    throw new MeshError('INPUT_UNREADABLE', { place: file, reason: messageOf(error) }, { cause: error });
  }
}

// `ambientctl install`, `upgrade`, `uninstall`: what is applied to a cluster, printed or applied, and what comes next.
import { readFileSync } from 'node:fs';
import { MeshError, messageOf } from '../base/errors.ts';
import { readStandardInput } from '../base/standard-input.ts';
import { applyManifests } from '../install/apply.ts';
import { cleanupName, cleanupObjects } from '../install/cleanup-objects.ts';
import { installManifests, manifestsText } from '../install/manifests.ts';
import { nextSteps } from '../install/next-steps.ts';
import { type Manifest, nodeName } from '../install/parts.ts';
import { type InstallValues, readValues } from '../install/values.ts';
import {
  type Command,
  type CommandContext,
  type CommandResult,
  flagOption,
  listOption,
  textOption,
} from './command.ts';
import { waiting } from './progress.ts';
import { clusterClientOf } from './which-mesh.ts';

/** Everything that a cluster needs, as manifests; with `--apply` each object and what was done to it. */
export const install: Command = async (context) => {
  const values = await valuesOf(context);
  const manifests = installManifests(values);
  if (flagOption(context, 'apply')) return applied(context, values, manifests);
  await print(context, manifests);
  context.io.stderr.write(`next: pipe this into kubectl apply --server-side -f -, then\n${whatNext(values)}`);
  return 0;
};

/** What takes the rules of capture away from every node; the rest goes by `kubectl delete`. */
export const uninstall: Command = async (context) => {
  const values = await valuesOf(context);
  await print(context, cleanupObjects(values));
  const { namespace } = values;
  const steps = [
    `kubectl -n ${namespace} delete daemonset ${nodeName} --cascade=foreground`,
    'pipe this into kubectl apply --server-side -f -',
    `kubectl -n ${namespace} rollout status daemonset/${cleanupName}`,
    'ambientctl install | kubectl delete --ignore-not-found -f -   # policies of ambient.mesh go too',
  ];
  context.io.stderr.write(`next, in this order:\n${steps.map((step) => `  ${step}\n`).join('')}`);
  return 0;
};

async function print(context: CommandContext, manifests: readonly Manifest[]): Promise<void> {
  const list = { apiVersion: 'v1', kind: 'List', items: manifests };
  const isJson = textOption(context, 'output') === 'json';
  context.io.stdout.write(isJson ? `${JSON.stringify(list, null, 2)}\n` : await manifestsText(manifests));
}

async function applied(
  context: CommandContext,
  values: InstallValues,
  manifests: readonly Manifest[],
): Promise<CommandResult> {
  const { io } = context;
  const client = await clusterClientOf(context);
  try {
    const wait = { what: 'the API server', leaves: 'what was applied stays; the same command goes on' };
    const objects = await waiting(io, wait, (say) => applyManifests(client, manifests, say));
    return {
      data: objects,
      text: () => objects.map(({ kind, name, action }) => `${kind} ${name} ${action}\n`).join(''),
      talk: () => `next:\n${whatNext(values)}`,
    };
  } finally {
    await client.close();
  }
}

/** What was given; a value of an older release is said on stderr. */
function valuesOf(context: CommandContext): Promise<InstallValues> {
  const note = (text: string): void => void context.io.stderr.write(`note: ${text}\n`);
  return readValues({ files: filesOf(context), sets: listOption(context, 'set'), note });
}

function filesOf(context: CommandContext): { text: string; file: string }[] {
  return listOption(context, 'file').map((file) => {
    if (file === '-') return { text: readStandardInput(), file: 'standard input' };
    try {
      return { text: readFileSync(file, 'utf8'), file };
    } catch (error) {
      throw new MeshError('INPUT_UNREADABLE', { place: file, reason: messageOf(error) }, { cause: error });
    }
  });
}

function whatNext(values: InstallValues): string {
  return nextSteps(values)
    .map((step) => `  ${step}\n`)
    .join('');
}

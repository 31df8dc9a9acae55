// `-l`: which objects of a mesh a label selector means. Labels are asked of the API server, since proxies know none:
// what was saved in a file cannot be selected by them.
import { MeshError } from '../base/errors.ts';
import { labelTest } from '../base/label-selector.ts';
import type { Labels } from '../model/resources.ts';
import type { MeshView } from '../model/views.ts';
import { type CommandContext, textOption } from './command.ts';
import type { Mesh } from './mesh.ts';
import { adminView } from './which-mesh.ts';

export type LabelTest = (labels: Labels | undefined) => boolean;

/** An object as far as names go. */
interface NamedObject {
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** The test that `-l` asks for; null without it. Throws USAGE with the column of what cannot be read. */
export function selectorOption(context: CommandContext): LabelTest | null {
  const text = textOption(context, 'selector');
  return text === undefined ? null : labelTest(text);
}

/** `NAMESPACE/NAME` of the objects of these kinds that `-l` selects; null without it. Throws as `selectorOption`. */
export async function selectedKeys(
  context: CommandContext,
  mesh: Mesh,
  kinds: readonly string[],
): Promise<ReadonlySet<string> | null> {
  return selectorOption(context) === null ? null : keysOf(mesh, kinds, textOption(context, 'selector') ?? '');
}

/** `NAMESPACE/NAME` of the objects of these kinds that a selector lets through; the name alone of what is in none. */
export async function keysOf(mesh: Mesh, kinds: readonly string[], selector: string): Promise<ReadonlySet<string>> {
  const lists = await Promise.all(kinds.map((kind) => mesh.objects(kind, undefined, selector)));
  return new Set((lists.flat() as readonly NamedObject[]).map(keyOf));
}

/** `NAMESPACE/WORKLOAD` of the workloads (Deployments, …) that have pods which `-l` selects; null without it. */
export async function selectedWorkloads(context: CommandContext, mesh: Mesh): Promise<ReadonlySet<string> | null> {
  const pods = await selectedKeys(context, mesh, ['Pod']);
  if (pods === null) return null;
  const { workloads } = (await adminView(mesh, 'controller', '/mesh', 'workloads')) as MeshView;
  const own = workloads.filter(({ namespace, name }) => pods.has(`${namespace}/${name}`));
  return new Set(own.map(({ namespace, workloadName }) => `${namespace}/${workloadName}`));
}

/** Throws USAGE for a selector beside a file. */
export function refuseSelector(file: string | undefined): void {
  if (file === undefined) return;
  const reason = `labels are asked of a mesh that runs, and are not in ${file}: leave out -l`;
  throw new MeshError('USAGE', { reason });
}

function keyOf({ metadata: { namespace = '', name } }: NamedObject): string {
  return namespace === '' ? name : `${namespace}/${name}`;
}

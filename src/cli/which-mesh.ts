// Which mesh a command speaks of: manifests (`-f`), a lab (`--lab`, AMBIENT_LAB, the only one that runs), or a cluster
// (`--kubeconfig`, `--context`, or kubectl's own when no lab runs).
import { isMeshError, MeshError, messageOf } from '../base/errors.ts';
import type { ApiClient } from '../kube/api/api-client.ts';
import { findLab, type LabClient, listLabs } from '../lab/control-client.ts';
import { type CommandContext, textOption } from './command.ts';
import { LabMesh, type Mesh, type MeshPart, type OperableMesh } from './mesh.ts';
import { patientMesh } from './patient-mesh.ts';

/** The running mesh that is meant. Throws NOT_REACHABLE when there is none, and what a kubeconfig is wrong with. */
export async function meshOf(context: CommandContext): Promise<OperableMesh> {
  const mesh = await meantMesh(context);
  return context.io.talkIsTerminal === true ? patientMesh(mesh, context.io) : mesh;
}

async function meantMesh(context: CommandContext): Promise<OperableMesh> {
  const { env } = context.io;
  const lab = textOption(context, 'lab');
  const isCluster = textOption(context, 'kubeconfig') !== undefined || textOption(context, 'context') !== undefined;
  if (isCluster && lab !== undefined) {
    throw new MeshError('USAGE', { reason: 'name a lab with --lab or a cluster with --kubeconfig, not both' });
  }
  if (isCluster) return clusterOf(context);
  // As a plug-in of kubectl, what kubectl speaks to is meant.
  const isPlugin = Boolean(env.AMBIENT_CALLED_AS) && lab === undefined && !env.AMBIENT_LAB;
  if (isPlugin) return clusterOf(context);
  try {
    return new LabMesh(labOf(context));
  } catch (error) {
    // Nobody named a lab, and none runs: the cluster that kubectl would speak to.
    const isNamed = lab !== undefined || Boolean(env.AMBIENT_LAB);
    if (isNamed || !(error instanceof LabAbsent) || listLabs().length > 0) throw error;
    const { defaultKubeconfig } = await import('./cluster-mesh.ts');
    if (defaultKubeconfig(env) === null) throw error;
    return clusterOf(context);
  }
}

/** A client of the cluster that is meant; close it. Throws what a kubeconfig is wrong with. */
export async function clusterClientOf(context: CommandContext): Promise<ApiClient> {
  const { ApiClient: Client } = await import('../kube/api/api-client.ts');
  const { kubeconfigAccess } = await import('../kube/api/kubeconfig.ts');
  const { whenUnreachable } = await import('./cluster-objects.ts');
  const access = kubeconfigAccess(await kubeconfigOf(context), textOption(context, 'context') ?? '');
  return new Client(access, whenUnreachable);
}

async function kubeconfigOf(context: CommandContext): Promise<string> {
  const { defaultKubeconfig } = await import('./cluster-mesh.ts');
  const kubeconfig = textOption(context, 'kubeconfig') ?? defaultKubeconfig(context.io.env);
  if (kubeconfig !== null) return kubeconfig;
  throw new MeshError('INPUT_UNREADABLE', { place: '~/.kube/config', reason: 'it is not there; name a kubeconfig' });
}

async function clusterOf(context: CommandContext): Promise<OperableMesh> {
  const { ClusterMesh } = await import('./cluster-mesh.ts');
  const kubeconfig = await kubeconfigOf(context);
  const namespace = textOption(context, 'systemNamespace') ?? 'ambient-system';
  return new ClusterMesh({ kubeconfig, context: textOption(context, 'context') ?? '', namespace });
}

/** The lab that is meant. Throws NOT_REACHABLE when there is none, USAGE when a cluster is meant. */
export function labOf(context: CommandContext, named?: string): LabClient {
  refuseCluster(context, 'this is about labs alone');
  const name = named ?? textOption(context, 'lab') ?? (context.io.env.AMBIENT_LAB || undefined);
  try {
    return findLab(name);
  } catch (error) {
    if (!isMeshError(error) || error.code !== 'NOT_FOUND') throw error;
    // To the caller a lab that is not there is a mesh that cannot be reached: exit 3.
    throw new LabAbsent(error);
  }
}

/** Throws USAGE when `--kubeconfig` or `--context` asks for a cluster. */
export function refuseCluster(context: CommandContext, why: string): void {
  const option = ['kubeconfig', 'context'].find((name) => textOption(context, name) !== undefined);
  if (option !== undefined) throw new MeshError('USAGE', { reason: `${why}: leave out --${option}` });
}

class LabAbsent extends MeshError {
  constructor(cause: MeshError) {
    super('NOT_REACHABLE', { what: 'the lab', reason: cause.message, hint: '' }, { cause });
    this.message = cause.message;
  }
}

/** What a person names: a pod, the pods of a deployment, a node's proxy, a waypoint, the controller, the lab itself. */
export type PartName =
  | { readonly kind: 'pod'; readonly namespace: string; readonly name: string }
  | { readonly kind: 'node'; readonly name: string }
  | { readonly kind: 'controller' }
  | { readonly kind: 'waypoint'; readonly namespace: string; readonly name: string }
  | { readonly kind: 'lab' };

/**
 * Reads `NS/POD`, `POD` (with `namespace`), `deploy/NAME`, `node/NAME`, `waypoint/NS/NAME`, `controller`, `lab`. Throws
 * USAGE with the forms that there are.
 * A pod's name stays `deploy/NAME` where that was given: the lab resolves it to one of the deployment's pods.
 */
export function parsePart(text: string, namespace: string | undefined): PartName {
  if (text === 'controller' || text === 'lab') return { kind: text };
  const words = text.split('/');
  const [first = '', second, third] = words;
  const isDeploy = (word: string | undefined): boolean => word === 'deploy' || word === 'deployment';
  if (first === 'node' && second) return { kind: 'node', name: second };
  if (first === 'waypoint' && second && (third || namespace) && words.length <= 3) {
    return { kind: 'waypoint', namespace: third ? second : (namespace ?? ''), name: third || second };
  }
  if (words.length === 3 && first && isDeploy(second) && third) {
    return { kind: 'pod', namespace: first, name: `deploy/${third}` };
  }
  if (words.length === 2 && isDeploy(first) && second) {
    return { kind: 'pod', namespace: namespace ?? 'default', name: `deploy/${second}` };
  }
  if (words.length === 2 && (first === 'pod' || first === 'po') && second) {
    return { kind: 'pod', namespace: namespace ?? 'default', name: second };
  }
  if (words.length === 2 && first && second) return { kind: 'pod', namespace: first, name: second };
  if (words.length === 1 && first) return { kind: 'pod', namespace: namespace ?? 'default', name: first };
  throw new MeshError('USAGE', {
    reason: `'${text}' names nothing; write NS/POD, deploy/NAME -n NS, node/NAME, waypoint/NS/NAME or controller`,
  });
}

const controller: MeshPart = { kind: 'controller', name: '' };

/**
 * A view from the admin port of a part. Throws NOT_REACHABLE when the part does not answer, or answers something that
 * has no list `field`.
 */
export async function adminView(
  mesh: Mesh,
  part: 'controller' | { readonly node: string } | { readonly waypoint: string },
  path: string,
  field: string,
) {
  const asked: MeshPart =
    part === 'controller'
      ? controller
      : 'node' in part
        ? { kind: 'node', name: part.node }
        : { kind: 'waypoint', name: part.waypoint };
  const { kind, name } = asked;
  const what = { controller: 'the controller', node: `the proxy of node ${name}`, waypoint: `waypoint ${name}` }[kind];
  const hint = `see: ${mesh.logsCommand(asked)}`;
  let answer: unknown;
  try {
    answer = await mesh.admin(asked, path);
  } catch (error) {
    if (isMeshError(error) && error.code !== 'INTERNAL') throw error;
    throw new MeshError('NOT_REACHABLE', { what, reason: messageOf(error), hint }, { cause: error });
  }
  if (typeof answer === 'object' && answer !== null && Array.isArray((answer as Record<string, unknown>)[field]))
    return answer;
  throw new MeshError('NOT_REACHABLE', { what, reason: `it does not answer ${path} as it should`, hint });
}

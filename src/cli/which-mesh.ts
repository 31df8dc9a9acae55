// Which mesh a command speaks of: manifests (`-f`), a lab (`--lab`, AMBIENT_LAB, the only one that runs), or a
// cluster (`--kubeconfig`).
import { isMeshError, MeshError, messageOf } from '../base/errors.ts';
import { findLab, type LabClient } from '../lab/control-client.ts';
import { type CommandContext, textOption } from './command.ts';

/** The lab that is meant. Throws NOT_REACHABLE when there is none, or when a cluster is meant. */
export function labOf(context: CommandContext, named?: string): LabClient {
  refuseCluster(context);
  const name = named ?? textOption(context, 'lab') ?? (context.io.env.AMBIENT_LAB || undefined);
  try {
    return findLab(name);
  } catch (error) {
    if (!isMeshError(error) || error.code !== 'NOT_FOUND') throw error;
    // To the caller a lab that is not there is a mesh that cannot be reached: exit 3.
    throw new LabAbsent(error);
  }
}

/** Throws NOT_REACHABLE when `--kubeconfig` or `--context` asks for a cluster. */
export function refuseCluster(context: CommandContext): void {
  if (textOption(context, 'kubeconfig') === undefined && textOption(context, 'context') === undefined) return;
  throw new MeshError('NOT_REACHABLE', {
    what: 'a cluster',
    reason: 'clusters come with a later release',
    hint: 'name a lab with --lab, or read manifests with -f',
  });
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

/**
 * A view from the admin port of a part of the lab. Throws NOT_REACHABLE when the part does not answer, or answers
 * something
 * that has no list `field`.
 */
export async function adminView(
  lab: LabClient,
  part: 'controller' | { readonly node: string } | { readonly waypoint: string },
  path: string,
  field: string,
) {
  const [kind, name] =
    part === 'controller'
      ? (['controller', ''] as const)
      : 'node' in part
        ? (['node', part.node] as const)
        : (['waypoint', part.waypoint] as const);
  const what = { controller: 'the controller', node: `the proxy of node ${name}`, waypoint: `waypoint ${name}` }[kind];
  const hint = `see: ambientctl lab logs ${[kind, name].filter(Boolean).join('/')}`;
  let answer: unknown;
  try {
    answer = await lab.admin(kind, name, path);
  } catch (error) {
    if (isMeshError(error) && error.code !== 'INTERNAL') throw error;
    throw new MeshError('NOT_REACHABLE', { what, reason: messageOf(error), hint }, { cause: error });
  }
  if (typeof answer === 'object' && answer !== null && Array.isArray((answer as Record<string, unknown>)[field]))
    return answer;
  throw new MeshError('NOT_REACHABLE', { what, reason: `it does not answer ${path} as it should`, hint });
}

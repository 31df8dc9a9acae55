// `ambientctl simulate`: flows that were seen, judged by the mesh as it is and by the mesh with a change.
import { MeshError } from '../base/errors.ts';
import { didYouMean } from '../base/nearest-name.ts';
import type { KubeObject } from '../kube/api/prune.ts';
import { readKubeObject, standInFor } from '../kube/kube-object.ts';
import { loadManifests } from '../kube/load.ts';
import { type Resource, resourceKey } from '../model/resources.ts';
import type { Change } from '../simulate/causes.ts';
import { SeenMesh } from '../simulate/simulate.ts';
import type { ObjectName } from '../simulate/simulated-mesh.ts';
import { canBeStrict } from '../simulate/strict.ts';
import type { FlowView } from '../telemetry/access-record.ts';
import { type Command, type CommandContext, durationOption, flagOption, listOption, textOption } from './command.ts';
import { simulationResult, strictResult } from './simulate-text.ts';
import { readFlowsOf } from './tap.ts';
import { meshOf, refuseCluster } from './which-mesh.ts';

/** What the mesh is made of, hence what can be deleted; Deployments and the like are there as their pods. */
export const meshKinds: readonly string[] = [
  'Namespace,Node,ServiceAccount,Pod,Service,EndpointSlice',
  'Gateway,HTTPRoute,GRPCRoute,ReferenceGrant,VirtualService,DestinationRule',
  'PeerAuthentication,AuthorizationPolicy,RequestAuthentication',
  'TrafficPolicy,RateLimitPolicy,CertificateRevocation',
].flatMap((line) => line.split(','));

/** Exit 1 when a flow would be refused or find nobody; with `--strict`, when the answer is not yes. */
export const simulate: Command = async (context) => {
  const isStrict = flagOption(context, 'strict');
  const namespace = textOption(context, 'namespace');
  const deleted = listOption(context, 'delete').map((text) => objectName(text, namespace));
  const paths = listOption(context, 'file');
  if (isStrict && paths.length + deleted.length > 0) {
    throw new MeshError('USAGE', { reason: '--strict asks about one change, without -f and --delete' });
  }
  if (!isStrict && paths.length + deleted.length === 0) {
    throw new MeshError('USAGE', {
      reason: 'say what would change: -f PATH, --delete KIND/NAMESPACE/NAME, or --strict',
    });
  }
  if (!isStrict && namespace !== undefined && deleted.length === 0) {
    throw new MeshError('USAGE', { reason: '-n says where --delete finds KIND/NAME, and what --strict asks about' });
  }
  // What cannot be read is said before anybody is asked for anything.
  const applied = await loadManifests(paths);
  const base = await baseOf(context);
  const seen = new SeenMesh(base, await flowsOf(context));
  if (isStrict) return strictResult(canBeStrict(seen, namespace ?? null), Date.now());
  const change: Change = { applied: applied.resources, deleted };
  const known = new Set(base.map(resourceKey));
  const missing = deleted.find((object) => !known.has(resourceKey(object)));
  if (missing !== undefined) {
    const what = `${missing.kind} ${missing.namespace === '' ? '' : `${missing.namespace}/`}${missing.name}`;
    throw new MeshError('NOT_FOUND', { what, hint: 'there is nothing to delete' });
  }
  return simulationResult(seen.simulate(change), change, applied.ignored, Date.now());
};

/** The mesh as it is: manifests, or the objects of what runs. */
async function baseOf(context: CommandContext): Promise<readonly Resource[]> {
  const paths = listOption(context, 'mesh');
  if (paths.length > 0) {
    refuseCluster(context, 'manifests stand for themselves');
    if (textOption(context, 'flows') === undefined) {
      throw new MeshError('USAGE', { reason: 'manifests have seen no flows: say --flows FILE, saved by tap -o json' });
    }
    return (await loadManifests(paths)).resources;
  }
  const mesh = await meshOf(context);
  const lists = await Promise.all(meshKinds.map((kind) => mesh.objects(kind)));
  return (lists.flat() as KubeObject[]).flatMap((object) => {
    try {
      return [readKubeObject(object)];
    } catch {
      // As the controller takes it.
      const standIn = standInFor(object);
      return standIn === null ? [] : [standIn];
    }
  });
}

async function flowsOf(context: CommandContext): Promise<FlowView[]> {
  const lastMs = textOption(context, 'last') === undefined ? null : durationOption(context, 'last', 0);
  const since = lastMs === null ? '' : new Date(Date.now() - lastMs).toISOString();
  const flows: FlowView[] = [];
  for await (const flow of readFlowsOf(context, false, 'flows')) if (flow.time >= since) flows.push(flow);
  return flows;
}

/** As kubectl takes a kind: whatever the case, one or many. */
function wordsFor(kind: string): string[] {
  const one = kind.toLowerCase();
  return [one, one.endsWith('y') ? `${one.slice(0, -1)}ies` : one.endsWith('s') ? `${one}es` : `${one}s`];
}

/** `KIND/NAMESPACE/NAME`, or `KIND/NAME` of what has no namespace, or is in the one that is said. Throws USAGE. */
function objectName(text: string, namespace: string | undefined): ObjectName {
  const [kind = '', ...rest] = text.split('/');
  const known = meshKinds.find((one) => wordsFor(one).includes(kind.toLowerCase()));
  const isGlobal = known === 'Namespace' || known === 'Node';
  if (!isGlobal && namespace !== undefined && rest.length === 1) rest.unshift(namespace);
  if (known === undefined || rest.length !== (isGlobal ? 1 : 2) || rest.includes('')) {
    const kinds = `KIND/NAMESPACE/NAME with a kind of ${meshKinds.join(', ')}${didYouMean(kind, meshKinds)}`;
    const form = isGlobal ? `${known}/NAME` : `${known}/NAMESPACE/NAME, or ${known}/NAME with -n NAMESPACE`;
    throw new MeshError('USAGE', { reason: `--delete '${text}' is not ${known === undefined ? kinds : form}` });
  }
  const name = rest.pop()!;
  return { kind: known, namespace: rest[0] ?? '', name };
}

// Who was seen calling whom, for `analyze`: the edges of a mesh that runs, or what `edges -o json` and `tap -o json`
// have saved in a file.
import { readFile } from 'node:fs/promises';
import type { SeenEdge } from '../analyze/seen-edges.ts';
import { MeshError, messageOf } from '../base/errors.ts';
import { verdictOf } from '../telemetry/flow-verdict.ts';
import { type CommandContext, textOption } from './command.ts';
import { EdgeMeter } from './edges.ts';
import type { Mesh } from './mesh.ts';
import { readFlowsOf } from './tap.ts';

export interface SeenEdges {
  readonly edges: readonly SeenEdge[];
  /** Nodes whose proxies did not answer. */
  readonly silent: readonly string[];
}

/**
 * The edges of `--edges` and `--flows`, or without these of the mesh; none without any.
 * @throws MeshError INPUT_UNREADABLE for a file that is not there or holds something else.
 */
export async function seenEdges(context: CommandContext, mesh: Mesh | null): Promise<SeenEdges> {
  const [edgesFile, flowsFile] = [textOption(context, 'edges'), textOption(context, 'flows')];
  const edges: SeenEdge[] = [];
  if (edgesFile !== undefined) edges.push(...(await readEdges(edgesFile)));
  if (flowsFile !== undefined) edges.push(...(await edgesOfFlows(context, flowsFile)));
  if (edgesFile !== undefined || flowsFile !== undefined || mesh === null) return { edges, silent: [] };
  const meter = new EdgeMeter();
  return { edges: await meter.sample(mesh), silent: meter.silent };
}

async function readEdges(file: string): Promise<readonly SeenEdge[]> {
  try {
    const { edges } = JSON.parse(await readFile(file, 'utf8')) as { readonly edges?: readonly SeenEdge[] };
    if (Array.isArray(edges) && edges.every(isEdge)) return edges;
  } catch (error) {
    throw new MeshError('INPUT_UNREADABLE', { place: file, reason: messageOf(error) }, { cause: error });
  }
  const reason = 'it has no edges; write it with ambientctl edges -o json';
  throw new MeshError('INPUT_UNREADABLE', { place: file, reason });
}

function isEdge(edge: Partial<SeenEdge> | null): boolean {
  return typeof edge?.from?.workload === 'string' && typeof edge.to?.workload === 'string' && !!edge.transport;
}

async function edgesOfFlows(context: CommandContext, inputFile: string): Promise<SeenEdge[]> {
  const edges: SeenEdge[] = [];
  const options = { ...context.options, inputFile };
  for await (const flow of readFlowsOf({ ...context, options }, false)) {
    const { source, destination, transport, weight } = flow;
    const isRefused = verdictOf(flow) === 'refused';
    edges.push({
      from: { namespace: source.namespace ?? '', workload: source.workload ?? '' },
      to: {
        namespace: destination.namespace ?? '',
        workload: destination.workload ?? '',
        service: destination.service ?? '',
      },
      transport,
      opened: isRefused ? 0 : weight,
      refused: isRefused ? weight : 0,
    });
  }
  return edges;
}

// Who was seen calling a destination, and with what result: out of the flows that proxies remember.
import { flagTable } from '../../base/flags.ts';
import { authorsNameOf } from '../../model/converted-policies.ts';
import type { MeshIndex } from '../../model/mesh-index.ts';
import type { Workload } from '../../model/types.ts';
import type { FlowView } from '../../telemetry/access-record.ts';
import { type FlowVerdict, isToldOnce, verdictOf } from '../../telemetry/flow-verdict.ts';

/** A caller, all its pods together. Part of `why TO -o json`. */
export interface WhyCaller {
  /** `NAMESPACE/OWNER`, or an address. */
  readonly from: string;
  readonly identity: string | null;
  readonly flows: number;
  readonly forwarded: number;
  readonly refused: number;
  readonly failed: number;
  readonly transport: FlowView['transport'];
  /** Of the last one, RFC 3339. */
  readonly lastSeen: string;
  readonly lastVerdict: FlowVerdict;
  /** What came of the last one, in words. */
  readonly lastResult: string;
  readonly decidedBy: string | null;
}

/** The callers, the last one first. */
export function callersOf(flows: readonly FlowView[], index: MeshIndex): WhyCaller[] {
  const pods = new Map<string, Workload>();
  for (const pod of index.workloads()) pods.set(`${pod.namespace}/${pod.name}`, pod);
  const groups = new Map<string, FlowView[]>();
  for (const flow of flows.filter(isToldOnce)) {
    const { workload, namespace, address } = flow.source;
    const pod = workload === null ? undefined : pods.get(`${namespace}/${workload}`);
    // What its waypoint does is told by the requests that it got.
    if (flow.reporter.kind === 'node' && pod?.nativeTunnel === true) continue;
    const from =
      workload === null
        ? address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, '')
        : `${namespace}/${pod?.workloadName ?? workload}`;
    groups.set(from, [...(groups.get(from) ?? []), flow]);
  }
  const callers = Array.from(groups, ([from, all]) => callerOf(from, all));
  return callers.sort((a, b) => (a.lastSeen < b.lastSeen ? 1 : -1));
}

function callerOf(from: string, flows: readonly FlowView[]): WhyCaller {
  const last = flows.reduce((best, one) => (one.time >= best.time ? one : best));
  const count = (verdict: FlowVerdict): number =>
    flows.reduce((sum, flow) => sum + (verdictOf(flow) === verdict ? flow.weight : 0), 0);
  const [forwarded, refused, failed] = [count('forwarded'), count('refused'), count('failed')];
  const lastVerdict = verdictOf(last);
  return {
    from,
    identity: last.source.identity,
    flows: forwarded + refused + failed,
    forwarded,
    refused,
    failed,
    transport: last.transport,
    lastSeen: last.time,
    lastVerdict,
    lastResult: resultOf(last, lastVerdict),
    decidedBy: lastVerdict === 'refused' ? last.decidedBy : null,
  };
}

function resultOf({ flag, status, error, decidedBy, method, path }: FlowView, verdict: FlowVerdict): string {
  const asked = method === null ? '' : `${method} ${path ?? ''}: `;
  if (verdict === 'refused' && decidedBy !== null) return `${asked}refused by ${authorsNameOf(decidedBy)}`;
  if (flag !== '-') return `${asked}${flag}: ${error ?? flagTable[flag]}`;
  return status === null ? 'went well' : `${asked}${status}`;
}

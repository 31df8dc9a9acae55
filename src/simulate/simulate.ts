// "What would this change break?": a mesh, a change to it, and calls that were really seen. Pure.
import type { Resource } from '../model/resources.ts';
import type { FlowView } from '../telemetry/access-record.ts';
import { type Call, CallCollector } from './calls.ts';
import { type Cause, type Change, namedCause, triedCauses } from './causes.ts';
import { type Difference, differenceOf, type Effect, rankOf } from './differences.ts';
import { SimulatedMesh } from './simulated-mesh.ts';

/** Calls that are alike in who calls whom, what becomes of them, and why. */
export interface SimulatedRow {
  /** Of the caller: `NAMESPACE/OWNER`, or an address. */
  readonly from: string;
  /** `NAME.NAMESPACE` of a service, `NAMESPACE/OWNER` of pods, or an address; with the port. */
  readonly to: string;
  /** Null where no object of the change does it alone. */
  readonly by: Cause | null;
  readonly count: number;
  /** RFC 3339. */
  readonly lastSeen: string;
  /** Never empty; the first stands for all. */
  readonly differences: readonly Difference[];
}

export interface Simulation {
  readonly rows: readonly SimulatedRow[];
  /** Flows by what becomes of them. */
  readonly effects: Readonly<Partial<Record<Effect, number>>>;
  readonly flows: number;
  readonly unchanged: number;
  /** Of ends that are not in the mesh. */
  readonly notJudged: number;
}

/** The mesh as it is, and the calls of the flows that were seen in it. */
export class SeenMesh {
  readonly mesh: SimulatedMesh;
  readonly calls: readonly Call[];
  /** Flows that the calls stand for. */
  readonly flows: number;

  constructor(base: readonly Resource[], flows: readonly FlowView[]) {
    this.mesh = new SimulatedMesh(base, trustDomainOf(flows));
    const collector = new CallCollector(this.mesh);
    for (const flow of flows) collector.take(flow);
    const result = collector.result();
    this.calls = result.calls;
    this.flows = result.flows;
  }

  /** Judges every call before and after a change. */
  simulate(change: Change): Simulation {
    const after = this.mesh.copy();
    after.change(change.applied, change.deleted);
    const differences: Difference[] = [];
    let notJudged = 0;
    for (const call of this.calls) {
      const difference = differenceOf(this.mesh, after, call);
      if (difference === 'unknown') notJudged += call.count;
      else if (difference !== null) differences.push(difference);
    }
    const effects: Partial<Record<Effect, number>> = {};
    for (const { effects: found, call } of differences) {
      const [effect = 'depends'] = found;
      effects[effect] = (effects[effect] ?? 0) + call.count;
    }
    const changed = differences.reduce((sum, { call }) => sum + call.count, 0);
    const { flows } = this;
    const rows = rowsOf(this.mesh, change, differences);
    return { rows, effects, flows, unchanged: flows - changed - notJudged, notJudged };
  }
}

/** The caller as a person would call it. */
export function callerOf(mesh: SimulatedMesh, { source }: Call): string {
  const workload = mesh.workloadOf(source);
  if (workload !== null) return `${workload.namespace}/${workload.workloadName}`;
  return source.workload === null ? source.address.replace(/:\d+$/, '') : `${source.namespace}/${source.workload}`;
}

/** What was called, as a person would call it, with the port. */
export function calleeOf(mesh: SimulatedMesh, { service, destination, port }: Call): string {
  if (service !== null) return `${service.split('.').slice(0, 2).join('.')}:${port}`;
  const workload = mesh.workloadOf(destination);
  return workload === null ? destination.address : `${workload.namespace}/${workload.workloadName}:${port}`;
}

function rowsOf(mesh: SimulatedMesh, change: Change, all: readonly Difference[]): SimulatedRow[] {
  const groups = new Map<string, { from: string; to: string; by: Cause | null; differences: Difference[] }>();
  for (const difference of all) {
    const { call, effects, possible, dependsOn } = difference;
    const [from, to, by] = [callerOf(mesh, call), calleeOf(mesh, call), namedCause(difference, change)];
    const key = JSON.stringify([from, to, by, effects, possible, dependsOn, placeOf(difference)]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { from, to, by, differences: [difference] });
    else group.differences.push(difference);
  }
  const unnamed = [...groups.values()].filter(({ by }) => by === null);
  const causes = triedCauses(
    mesh,
    change,
    unnamed.map(({ differences }) => differences[0]!),
  );
  for (const [at, group] of unnamed.entries()) group.by = causes[at] ?? null;
  const rows = [...groups.values()].map((group) => ({ ...group, ...sumOf(group.differences) }));
  return rows.sort(
    (a, b) =>
      rankOf(a.differences[0]!.effects[0]) - rankOf(b.differences[0]!.effects[0]) ||
      b.count - a.count ||
      (a.from + a.to < b.from + b.to ? -1 : 1),
  );
}

/** What a line about the difference names: those that lead to different places are no one line. */
function placeOf({ effects: [effect], before, after }: Difference): unknown {
  if (effect === 'refused' || effect === 'allowed' || effect === 'plaintext' || effect === 'encrypted') return null;
  const outcomes = effect === 'unreachable' ? [after] : [before, after];
  return outcomes.map(({ backends, status, timeoutMs, retries, waypoint, lostPercent }) => [
    ...[backends, status, timeoutMs, retries, waypoint, lostPercent],
  ]);
}

function sumOf(differences: readonly Difference[]): { readonly count: number; readonly lastSeen: string } {
  let [count, lastSeen] = [0, ''];
  for (const { call } of differences) {
    count += call.count;
    if (call.lastSeen > lastSeen) lastSeen = call.lastSeen;
  }
  return { count, lastSeen };
}

/** As the identities in the records have it. */
function trustDomainOf(flows: readonly FlowView[]): string {
  const identity = flows.find((flow) => flow.source.identity !== null)?.source.identity ?? '';
  return /^spiffe:\/\/([^/]+)\//.exec(identity)?.[1] ?? 'cluster.local';
}

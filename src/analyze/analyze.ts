// The linter: everything that can be said about the objects of a mesh without a mesh that runs. What the readers and
// the compiler say, as `status` and the webhook say it, and what only shows across objects.
import type { UnusedObject } from '../kube/manifests.ts';
import { MeshCompiler } from '../model/compiler.ts';
import { type FindingCode, findingCodes } from '../model/finding-codes.ts';
import { IssueList, toldIssue } from '../model/issues.ts';
import type { Resource, ResourceKind } from '../model/resources.ts';
import type { ResourceIssue } from '../model/types.ts';
import { AnalyzedMesh } from './analyzed-mesh.ts';
import type { Analyzer, Report } from './analyzer.ts';
import { apiVersions, targetLists } from './api-versions.ts';
import { callChains } from './call-chains.ts';
import { type Change, changeFor, type PlacedChange } from './changes.ts';
import { ejection } from './ejection.ts';
import { matches } from './matches.ts';
import { meshLabels } from './mesh-labels.ts';
import { networkPolicies } from './network-policies.ts';
import { policySources } from './policy-sources.ts';
import { routesWithoutWaypoint, twiceRouted, waypointsAsGateways } from './routes.ts';
import type { SeenEdge } from './seen-edges.ts';
import { selectors } from './selectors.ts';
import { services } from './services.ts';
import { shadowedRules } from './shadowed-rules.ts';
import { strict } from './strict.ts';
import { telemetry } from './telemetry.ts';
import { tries } from './tries.ts';
import { unusedKinds } from './unused-kinds.ts';
import { workloads } from './workloads.ts';

export interface AnalyzeInput {
  readonly resources: readonly Resource[];
  readonly unused: readonly UnusedObject[];
  /** What could not be read. */
  readonly unreadable: readonly ResourceIssue[];
  /** Who was seen calling whom. */
  readonly edges?: readonly SeenEdge[];
}

export interface AnalyzeOptions {
  readonly trustDomain: string;
  readonly clusterDomain: string;
  /** The system's own first. */
  readonly rootNamespaces: readonly string[];
}

export const analyzeDefaults: AnalyzeOptions = {
  trustDomain: 'cluster.local',
  clusterDomain: 'cluster.local',
  rootNamespaces: ['ambient-system', 'istio-system'],
};

/** A finding, with the change of its object that mends it and can only be meant; null where there are several. */
export interface Finding extends ResourceIssue {
  readonly change: PlacedChange | null;
}

const analyzers: readonly Analyzer[] = [
  selectors,
  services,
  workloads,
  policySources,
  routesWithoutWaypoint,
  twiceRouted,
  waypointsAsGateways,
  shadowedRules,
  matches,
  tries,
  callChains,
  ejection,
  strict,
  meshLabels,
  apiVersions,
  targetLists,
];

const order = { error: 0, warning: 1, info: 2 } as const;

/**
 * Everything that is found, errors first, then by place. Pure; the resources stay as they are. Time grows with the
 * number of objects: 5,000 take about a second.
 */
export function analyze(input: AnalyzeInput, options: AnalyzeOptions = analyzeDefaults): Finding[] {
  const compiler = new MeshCompiler({ ...options, clusterId: 'Kubernetes', expandTemplates: true });
  for (const resource of input.resources) compiler.upsert(resource);
  compiler.flush();
  const mesh = new AnalyzedMesh(input.resources, input.unused, compiler.mesh(), options, input.edges);
  const compiled = compiler.rawIssues().map((issue): Finding => {
    const change = issue.sought === undefined ? null : changeFor(issue.sought, compiler.namesOf);
    const resource = mesh.resource(issue.kind as ResourceKind, issue.namespace, issue.name);
    return { ...toldIssue(issue, compiler.namesOf), change: placed(change, resource) };
  });
  const found: Finding[] = [...input.unreadable.map(unchanged), ...compiled];
  const report: Report = (resource, code, path, message, fix, change = null) => {
    const list = new IssueList(resource);
    list.add(code, path, message, fix);
    for (const issue of list.issues) found.push({ ...issue, change: placed(change, resource) });
  };
  for (const analyzer of analyzers) analyzer(mesh, report);
  found.push(...[...networkPolicies(mesh), ...telemetry(mesh), ...unusedKinds(mesh)].map(unchanged));
  return found.sort(
    (a, b) =>
      order[a.severity] - order[b.severity] ||
      compare(a.place?.file ?? '', b.place?.file ?? '') ||
      (a.place?.line ?? 0) - (b.place?.line ?? 0) ||
      compare(a.code, b.code),
  );
}

function placed(change: Change | null, resource: Resource | undefined): PlacedChange | null {
  const place = change === null ? null : (resource?.places.at(change.path) ?? null);
  return change === null || place === null || place.line === 0 ? null : { ...change, place };
}

function unchanged(issue: ResourceIssue): Finding {
  return { ...issue, change: null };
}

/** istioctl's code for the same finding; null where it has none. */
export function equivalentOf(code: FindingCode): string | null {
  const rule = findingCodes[code];
  return 'equivalent' in rule ? rule.equivalent : null;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

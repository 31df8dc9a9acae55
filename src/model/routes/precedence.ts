// Which of several matches comes first (l7.md §1.6): routes of Gateway API are merged by what they ask for, not by
// where they stand.
import type { GatewayMatch, GatewayRouteResource } from '../route-resources.ts';

export interface RankedMatch {
  readonly route: GatewayRouteResource;
  readonly match: GatewayMatch;
  readonly ruleAt: number;
  readonly matchAt: number;
}

const pathRank = { exact: 3, segments: 2, prefix: 2, regex: 1 } as const;

/**
 * For sorting: negative when `a` goes before `b`. Never 0 for different matches, so that the order does not depend on
 * the order of arrival.
 */
export function compareMatches(a: RankedMatch, b: RankedMatch): number {
  return (
    compareSpecificity(a.match, b.match) || compareAge(a.route, b.route) || a.ruleAt - b.ruleAt || a.matchAt - b.matchAt
  );
}

function compareSpecificity(a: GatewayMatch, b: GatewayMatch): number {
  if (a.grpc !== null && b.grpc !== null) {
    return (
      b.grpc.service - a.grpc.service ||
      b.grpc.method - a.grpc.method ||
      pathRank[b.path.kind] - pathRank[a.path.kind] ||
      b.headers.length - a.headers.length
    );
  }
  return (
    pathRank[b.path.kind] - pathRank[a.path.kind] ||
    lengthOf(b) - lengthOf(a) ||
    Number(b.method !== null) - Number(a.method !== null) ||
    b.headers.length - a.headers.length ||
    b.query.length - a.query.length
  );
}

/** `/foo/` asks for no more than `/foo`. */
function lengthOf(match: GatewayMatch): number {
  const { kind, value } = match.path;
  return kind === 'segments' && value.length > 1 && value.endsWith('/') ? value.length - 1 : value.length;
}

/** The older route first, then by name; one that was never in a cluster counts as the youngest. */
export function compareAge(
  a: { readonly creationTimestamp: string | null; readonly namespace: string; readonly name: string },
  b: { readonly creationTimestamp: string | null; readonly namespace: string; readonly name: string },
): number {
  const timeOf = (one: { readonly creationTimestamp: string | null }): number =>
    one.creationTimestamp === null ? Number.MAX_SAFE_INTEGER : Date.parse(one.creationTimestamp);
  return timeOf(a) - timeOf(b) || compareText(`${a.namespace}/${a.name}`, `${b.namespace}/${b.name}`);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

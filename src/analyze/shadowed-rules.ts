// Rules of HTTPRoutes and GRPCRoutes that can never match: an earlier one asks for exactly the same. Precedence is by
// how much a match asks for (Gateway API, HTTPRouteMatch), so only equals shadow each other.
import type { GatewayMatch, GatewayRouteResource } from '../model/route-resources.ts';
import type { Analyzer } from './analyzer.ts';

interface Seen {
  readonly route: GatewayRouteResource;
  readonly rule: number;
}

/** Looks at the routes of each parent. */
export const shadowedRules: Analyzer = (mesh, report) => {
  const seen = new Map<string, Seen>();
  const routes = [...mesh.gatewayRoutes()].sort(byAge);
  for (const route of routes) {
    for (const [rule, { matches }] of route.rules.entries()) {
      const others = matches.map((match) => shadowOf(seen, route, rule, match));
      const [first] = others;
      if (first === undefined || others.includes(undefined) || first === null) continue;
      const where =
        first.route === route
          ? `rule ${first.rule}`
          : `rule ${first.rule} of ${first.route.kind} ${first.route.namespace}/${first.route.name}`;
      const message = `rule ${rule} can never match: ${where} matches the same and comes first`;
      report(route, 'AMB1015', ['spec', 'rules', rule], message, 'remove it, or narrow one of the two');
    }
  }
};

/** What takes the requests of a match in all parents; notes the match where it is the first. */
function shadowOf(
  seen: Map<string, Seen>,
  route: GatewayRouteResource,
  rule: number,
  match: GatewayMatch,
): Seen | undefined {
  let shadow: Seen | undefined;
  let isFirstSomewhere = false;
  for (const { kind, namespace, name, port } of route.parents) {
    const key = `${kind}/${namespace}/${name}:${port ?? '*'} ${JSON.stringify(match)}`;
    const other = seen.get(key);
    if (other === undefined) {
      seen.set(key, { route, rule });
      isFirstSomewhere = true;
    } else if (other.route !== route || other.rule !== rule) shadow ??= other;
  }
  return isFirstSomewhere ? undefined : shadow;
}

/** Gateway API: the oldest route wins, then the first by name. */
function byAge(a: GatewayRouteResource, b: GatewayRouteResource): number {
  const [ageA, ageB] = [a, b].map((one) => Date.parse(one.creationTimestamp ?? '') || 0) as [number, number];
  return ageA - ageB || (`${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1);
}

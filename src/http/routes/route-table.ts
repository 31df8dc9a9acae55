// The routes of one service, ready to be matched: made once for each version of them, then only read. A request keeps
// the rule that it matched; a new table resets nothing.
import type { PathMatch, PortRoutes, RouteRule, ServiceRoutes } from '../../model/route-types.ts';
import {
  type MatchClaims,
  type MatchClient,
  type MatchRequest,
  type RequestTest,
  requestTest,
} from './entry-matcher.ts';
import { PathIndex } from './path-index.ts';
import { type PathTest, pathTest } from './value-matcher.ts';

/** What a request matched. One object per entry, made with the table. */
export interface RouteHit {
  readonly rule: RouteRule;
  /** What the path was matched with: prefixes are replaced by it. */
  readonly path: PathMatch | null;
}

/** From this many entries on, paths are looked up instead of tried in turn. */
const indexedFrom = 12;

interface PortTable {
  readonly routes: PortRoutes;
  readonly hits: readonly RouteHit[];
  readonly paths: readonly (PathTest | null)[];
  readonly tests: readonly (RequestTest | null)[];
  readonly index: PathIndex | null;
}

/** The compiled routes of a service. */
export class RouteTable {
  readonly routes: ServiceRoutes;
  readonly #ports = new Map<number, PortTable>();

  constructor(routes: ServiceRoutes) {
    this.routes = routes;
    for (const port of routes.ports) this.#ports.set(port.port, portTable(port));
  }

  /** As `ServiceRoutes` has it; null for a port that the service does not have. */
  port(port: number): PortRoutes | null {
    return this.#ports.get(port)?.routes ?? null;
  }

  /**
   * The first entry that holds; null when none does (404, for gRPC status 12). `target` is that of the request,
   * normalised; the one in `request` is not looked at.
   */
  match(
    port: number,
    request: MatchRequest,
    target: string,
    client: MatchClient,
    claims: MatchClaims,
  ): RouteHit | null {
    const table = this.#ports.get(port);
    if (table === undefined) return null;
    const mark = target.indexOf('?');
    const queryAt = mark < 0 ? target.length : mark;
    const { tests, paths, hits, index } = table;
    if (index !== null) {
      const found = index.find(request, target, queryAt, client, claims);
      return found < 0 ? null : hits[found]!;
    }
    for (let at = 0; at < hits.length; at++) {
      const pathHolds = paths[at]!;
      if (pathHolds !== null && !pathHolds(target, queryAt)) continue;
      const test = tests[at]!;
      if (test === null || test(request, target, queryAt, client, claims)) return hits[at]!;
    }
    return null;
  }
}

/** The table of a service. */
export function compileRoutes(routes: ServiceRoutes): RouteTable {
  return new RouteTable(routes);
}

function portTable(routes: PortRoutes): PortTable {
  const paths = routes.entries.map(({ match }) => asked(match.path));
  const tests = routes.entries.map(({ match }) => requestTest(match));
  return {
    routes,
    hits: routes.entries.map(({ match, rule }) => ({ rule: routes.rules[rule]!, path: match.path })),
    paths: paths.map((path) => (path === null ? null : pathTest(path))),
    tests,
    index: routes.entries.length < indexedFrom ? null : new PathIndex(paths, tests),
  };
}

/** Null for a path that every request has. */
function asked(path: PathMatch | null): PathMatch | null {
  return path?.kind === 'segments' && path.value === '/' ? null : path;
}

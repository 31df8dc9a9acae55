// What the exchange asks of compiled routes.
import type { PathMatch, RouteRule, ServiceRoutes } from '../../model/route-types.ts';
import type { RequestHead } from '../message.ts';
import type { ClientInfo } from './context.ts';

export interface MatchedRoute {
  readonly rule: RouteRule;
  /** What the path was matched with: prefixes are replaced by it. */
  readonly path: PathMatch | null;
}

/** The routes of a service, compiled. */
export interface RouteLookup {
  /** `target` is normalised; null when no rule matches. */
  match(
    port: number,
    head: RequestHead,
    target: string,
    client: ClientInfo,
    claims: Readonly<Record<string, unknown>> | null,
  ): MatchedRoute | null;
}

export type CompileRoutes = (routes: ServiceRoutes) => RouteLookup;

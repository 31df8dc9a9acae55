// The route half of a `why` answer: its shape, and how the answer to a request that a waypoint lets in is made of it.
// Who matches routes stands above this folder and is passed in.
import type { Candidate } from '../model/balance.ts';
import type { RouteOrigin, ServiceRoutes } from '../model/route-types.ts';
import type { Service, Workload } from '../model/types.ts';
import type { WhyRequest } from './why-waypoint.ts';

/** `route` of `why -o json`. */
export interface WhyRoute {
  readonly kind: RouteOrigin['kind'];
  readonly namespace: string;
  readonly name: string;
  /** Counts from 0. */
  readonly rule: number;
  readonly ruleName: string | null;
  readonly backends: readonly { readonly service: string; readonly subset: string | null; readonly weight: number }[];
  /** 0 for none. */
  readonly timeoutMs: number;
  readonly retries: {
    readonly attempts: number;
    readonly perTryTimeoutMs: number;
    readonly retryOn: readonly string[];
  } | null;
}

/** A value that holds for the request, and who says so; a part of `why -o json`. */
export interface WhyValue {
  /** `timeout`, `retries`, `outlier detection` and the like. */
  readonly name: string;
  readonly value: string;
  /** The object with the rule and field (`HTTPRoute shop/cart rule 0 timeouts.request`), or that it is the default. */
  readonly from: string;
  /** `FILE:LINE:COLUMN`; null where nobody knows, and for defaults. */
  readonly at: string | null;
}

/** `response` of `why -o json`: what the mesh itself answers. */
export interface WhyResponse {
  readonly status: number;
  readonly location: string | null;
}

export interface RouteOutcome {
  /** Null where no route is attached. */
  readonly route: WhyRoute | null;
  /** Set where the waypoint itself answers. */
  readonly response: WhyResponse | null;
  /** The answer is what the author wrote: a redirect, a direct response. */
  readonly isMeant: boolean;
  /** Of the requests, which the waypoint answers with an error since their backend is not there, or has nobody. */
  readonly lostPercent: number;
  /** Endpoints that requests may go to. */
  readonly candidates: readonly Candidate[];
  readonly reasons: readonly string[];
  /** Of a request that is sent on. */
  readonly values: readonly WhyValue[];
}

/**
 * Says what routes do with a request to a service at one of its ports. `routes` null: nothing is said about it;
 * `source` null: a client that nobody knows.
 */
export type RouteExplainer = (
  service: Service,
  port: number,
  source: Workload | null,
  request: WhyRequest,
  routes: ServiceRoutes | null,
) => RouteOutcome;

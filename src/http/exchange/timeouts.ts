// How long a request and each of its tries may take: what the route says, and the deadline that a gRPC caller sends
// along (`grpc-timeout`, gRPC over HTTP/2).
import type { RouteRule } from '../../model/route-types.ts';
import type { RequestHead } from '../message.ts';

const unitsMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** How long the whole request may take, in milliseconds: the route's time-out, or the caller's if that ends before. */
export function requestTimeoutMs(head: RequestHead, routeMs: number): number {
  if (!head.grpc) return routeMs;
  const own = parseGrpcTimeout(head.headers.get('grpc-timeout'));
  if (own === null) return routeMs;
  return routeMs > 0 ? Math.min(routeMs, own) : own;
}

/** Of one try; 0 for none, also where the whole request ends no later anyway. */
export function tryTimeoutMs({ timeouts, retry }: RouteRule, requestMs: number): number {
  const perTryMs = timeouts.perTryMs || retry.perTryTimeoutMs;
  return requestMs > 0 && perTryMs >= requestMs ? 0 : perTryMs;
}

/** Milliseconds, at least one; null for what is absent or no such value. */
export function parseGrpcTimeout(text: string | null): number | null {
  const match = text === null ? null : /^(\d{1,8})([HMSmun])$/.exec(text);
  return match === null ? null : Math.max(Math.ceil(Number(match[1]) * unitsMs[match[2]!]!), 1);
}

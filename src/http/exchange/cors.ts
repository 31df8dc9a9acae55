// Cross-origin requests: preflights answered here, headers for the others. Semantics of Gateway API's CORS filter and
// of VirtualService's corsPolicy as Envoy has it (l7.md §1.4.9, §3.2).
import type { CorsPolicy } from '../../model/route-types.ts';
import type { Headers } from '../message.ts';

type Pair = readonly [name: string, value: string];

/** `answer`: a preflight, to be answered 200 with these; `headers`: to be set on the answer that comes. */
export type CorsOutcome =
  | { readonly kind: 'none' }
  | { readonly kind: 'answer' | 'headers'; readonly headers: readonly Pair[] };

const none: CorsOutcome = { kind: 'none' };

/** Judges one request. `allows` says whether an origin matches (patterns are compiled once, elsewhere). */
export function judgeCors(
  policy: CorsPolicy,
  method: string,
  headers: Headers,
  allows: (policy: CorsPolicy, origin: string) => boolean,
): CorsOutcome {
  const origin = headers.get('origin');
  if (origin === null) return none;
  const asked = headers.get('access-control-request-method');
  const isPreflight = method === 'OPTIONS' && asked !== null;
  if (!allows(policy, origin)) {
    return isPreflight && policy.unmatchedPreflights === 'ignore' ? { kind: 'answer', headers: [] } : none;
  }
  const common = commonHeaders(policy, origin);
  if (!isPreflight) {
    if (policy.exposeHeaders.length > 0) {
      common.push(['access-control-expose-headers', policy.exposeHeaders.join(',')]);
    }
    return { kind: 'headers', headers: common };
  }
  const methods = wildcardOr(policy.allowMethods, policy.allowCredentials, asked);
  if (methods !== '') common.push(['access-control-allow-methods', methods]);
  const askedHeaders = headers.get('access-control-request-headers') ?? '';
  const names = wildcardOr(policy.allowHeaders, policy.allowCredentials, askedHeaders);
  if (names !== '') common.push(['access-control-allow-headers', names]);
  if (policy.exposeHeaders.length > 0) common.push(['access-control-expose-headers', policy.exposeHeaders.join(',')]);
  if (policy.maxAgeS !== null) common.push(['access-control-max-age', String(policy.maxAgeS)]);
  return { kind: 'answer', headers: common };
}

function commonHeaders(policy: CorsPolicy, origin: string): Pair[] {
  // Echoing the origin is right in every case, the wildcard only without credentials.
  const headers: Pair[] = [['access-control-allow-origin', origin]];
  if (policy.allowCredentials) headers.push(['access-control-allow-credentials', 'true']);
  return headers;
}

/** With credentials, browsers take `*` for a name: what was asked for is said instead. */
function wildcardOr(listed: readonly string[], credentials: boolean, asked: string): string {
  return listed.includes('*') && credentials ? asked : listed.join(',');
}

// For tests: heads of requests, and policies of destinations, but for what is given.
import type { DestinationPolicy } from '../model/route-types.ts';
import type { Headers, RequestHead } from './message.ts';

/** Headers from pairs, in order. */
export function headersOf(pairs: readonly (readonly [name: string, value: string])[]): Headers {
  return {
    get(name) {
      const values = pairs.filter(([one]) => one.toLowerCase() === name).map(([, value]) => value);
      return values.length === 0 ? null : values.join(name === 'cookie' ? '; ' : ', ');
    },
    has: (name) => pairs.some(([one]) => one.toLowerCase() === name),
    hasPrefix: (prefix) => pairs.some(([one]) => one.toLowerCase().startsWith(prefix)),
    each(visit) {
      for (const [name, value] of pairs) visit(name, value);
    },
  };
}

/** `METHOD TARGET` with headers. */
export function requestOf(
  line: string,
  headers: readonly (readonly [name: string, value: string])[] = [],
  given: Partial<RequestHead> = {},
): RequestHead {
  const [method = 'GET', target = '/'] = line.split(' ');
  return {
    protocol: 'http1',
    method,
    target,
    authority: 'shop.example',
    scheme: 'http',
    headers: headersOf(headers),
    contentLength: 0,
    expectsContinue: false,
    upgrade: null,
    grpc: false,
    headBytes: 0,
    ...given,
  };
}

/** Least request, no limits, no ejection. */
export function destinationPolicyOf(given: Partial<DestinationPolicy> = {}): DestinationPolicy {
  return {
    loadBalancing: { algorithm: 'least-request', hash: null, localityPreference: [], slowStart: null },
    connectionPool: {
      maxConnections: 0,
      connectTimeoutMs: 10_000,
      maxPendingRequests: 0,
      maxRequests: 0,
      maxRequestsPerConnection: 0,
      maxRetries: 0,
      idleTimeoutMs: 0,
      upgradeToHttp2: false,
    },
    outlier: null,
    retryBudget: { ratio: 0.2, perSecond: 3, minConcurrency: 0 },
    healthPaths: [],
    adaptiveConcurrency: null,
    from: [],
    ...given,
  };
}

/** Numbers in [0, 1) that are the same in every run. */
export function seededRandom(seed = 1): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

// DestinationRule: from an object to what the model keeps of it. A block that is not written stays null, since a
// subset's block replaces its parent's as a whole.
import type { ResourceMeta } from '../model/resources.ts';
import type { DestinationRuleResource, TrafficLevel, TrafficSettings, Unsupported } from '../model/route-resources.ts';
import type { ConsistentHash } from '../model/route-types.ts';
import { isMapping, type ObjectReader } from './object-reader.ts';
import { readLocality } from './read-locality.ts';
import { headText, istioDuration } from './route-values.ts';

const anyCount = { min: 0, max: 2 ** 32 - 1 };
const percent = { min: 0, max: 100 };
const simpleWords = [
  ...['UNSPECIFIED', 'LEAST_REQUEST', 'LEAST_CONN', 'ROUND_ROBIN', 'RANDOM', 'PASSTHROUGH'],
] as const;
const algorithms: Readonly<Record<string, NonNullable<TrafficSettings['loadBalancer']>['algorithm']>> = {
  LEAST_REQUEST: 'least-request',
  LEAST_CONN: 'least-request',
  ROUND_ROBIN: 'round-robin',
  RANDOM: 'random',
  PASSTHROUGH: 'passthrough',
};
const levelFields = [
  'loadBalancer',
  'connectionPool',
  'outlierDetection',
  'tls',
  'tunnel',
  'proxyProtocol',
  'retryBudget',
];
const balancerFields = ['simple', 'consistentHash', 'localityLbSetting', 'zoneAwareLbSetting'];
const tlsFields = [
  ...['mode', 'clientCertificate', 'privateKey', 'caCertificates', 'credentialName', 'subjectAltNames', 'sni'],
  ...['insecureSkipVerify', 'caCrl'],
];
/** What `ISTIO_MUTUAL` says itself. */
const certificateFields = ['clientCertificate', 'privateKey', 'caCertificates', 'credentialName'];
const ringSizeMin = 1024;
const maglevSize = 65_537;

/** A DestinationRule. Throws CONFIG_INVALID with the place of an unknown field or value. */
export function readDestinationRule(object: ObjectReader, meta: ResourceMeta): DestinationRuleResource {
  const spec = object.object('spec');
  spec.only(['host', 'trafficPolicy', 'subsets', 'exportTo', 'workloadSelector']);
  const unsupported: Unsupported[] = [];
  const reader = new TrafficReader(unsupported);
  const selector = spec.object('workloadSelector');
  selector.only(['matchLabels']);
  return {
    ...meta,
    kind: 'DestinationRule',
    host: spec.string('host'),
    exportTo: spec.strings('exportTo'),
    traffic: spec.has('trafficPolicy') ? reader.level(spec.object('trafficPolicy')) : null,
    subsets: spec.objects('subsets').map((subset) => {
      subset.only(['name', 'labels', 'trafficPolicy']);
      return {
        name: subset.string('name'),
        labels: subset.labels('labels'),
        traffic: subset.has('trafficPolicy') ? reader.level(subset.object('trafficPolicy')) : null,
      };
    }),
    workloadSelector: spec.has('workloadSelector') ? selector.labels('matchLabels') : null,
    unsupported,
  };
}

class TrafficReader {
  readonly #unsupported: Unsupported[];

  constructor(unsupported: Unsupported[]) {
    this.#unsupported = unsupported;
  }

  level(policy: ObjectReader): TrafficLevel {
    policy.only([...levelFields, 'portLevelSettings']);
    const ports = policy.objects('portLevelSettings').map((one) => {
      one.only(['port', 'loadBalancer', 'connectionPool', 'outlierDetection', 'tls']);
      const port = one.object('port');
      port.only(['number']);
      return { port: port.integer('number', { min: 1, max: 65535 }), settings: this.#settings(one) };
    });
    return { ...this.#settings(policy), ports };
  }

  #settings(policy: ObjectReader): TrafficSettings {
    for (const key of ['tunnel', 'proxyProtocol']) {
      if (policy.has(key)) this.#note(policy, key, 'nothing of it is done');
    }
    if (policy.has('tls')) this.#tls(policy);
    return {
      loadBalancer: policy.has('loadBalancer') ? this.#balancer(policy.object('loadBalancer')) : null,
      connectionPool: policy.has('connectionPool') ? this.#pool(policy.object('connectionPool')) : null,
      outlier: policy.has('outlierDetection') ? this.#outlier(policy.object('outlierDetection')) : null,
      retryBudget: policy.has('retryBudget') ? this.#budget(policy.object('retryBudget')) : null,
    };
  }

  /** The way to an endpoint is the mesh's own mutual TLS whatever is written; no other begins inside it. */
  #tls(policy: ObjectReader): void {
    const tls = policy.object('tls');
    tls.only(tlsFields);
    const mode = tls.oneOf('mode', ['DISABLE', 'SIMPLE', 'MUTUAL', 'ISTIO_MUTUAL'], 'DISABLE');
    if (mode === 'SIMPLE' || mode === 'MUTUAL') {
      const outcome = `TLS of mode ${mode} is not begun by waypoints; let the endpoint speak plaintext within the mesh`;
      this.#note(policy, 'tls', `${outcome}, or its clients begin TLS themselves`);
      return;
    }
    const odd = mode === 'ISTIO_MUTUAL' ? certificateFields.find((field) => tls.has(field)) : undefined;
    if (odd !== undefined)
      tls.fail(odd, 'must not stand beside the mode ISTIO_MUTUAL, whose certificates are the mesh’s');
    for (const field of tlsFields) {
      if (field !== 'mode' && tls.has(field)) this.#note(tls, field, `no certificate is looked at in mode ${mode}`);
    }
  }

  #balancer(balancer: ObjectReader): TrafficSettings['loadBalancer'] {
    balancer.only([...balancerFields, 'warmup', 'warmupDurationSecs']);
    if (balancer.has('zoneAwareLbSetting')) {
      this.#note(balancer, 'zoneAwareLbSetting', 'use localityLbSetting, which waypoints obey');
    }
    if (balancer.has('simple') && balancer.has('consistentHash')) {
      balancer.fail('consistentHash', 'must not stand beside simple');
    }
    const simple = balancer.oneOf('simple', simpleWords, 'UNSPECIFIED');
    if (simple === 'PASSTHROUGH') this.#note(balancer, 'simple', 'PASSTHROUGH is balanced as LEAST_REQUEST');
    const locality = balancer.object('localityLbSetting');
    if (locality.has('failoverPriority')) {
      this.#note(locality, 'failoverPriority', 'the nearest of subzone, zone and region are preferred; use failover');
    }
    const warmup = balancer.object('warmup');
    warmup.only(['duration', 'minimumPercent', 'aggression']);
    const windowMs = istioDuration(warmup, 'duration') ?? istioDuration(balancer, 'warmupDurationSecs');
    return {
      algorithm: algorithms[simple] ?? null,
      hash: balancer.has('consistentHash') ? readHash(balancer.object('consistentHash')) : null,
      locality: balancer.has('localityLbSetting') ? readLocality(locality) : null,
      warmup:
        windowMs === null
          ? null
          : {
              windowMs,
              minPercent: warmup.number('minimumPercent', percent, 10),
              aggression: warmup.number('aggression', { min: 0.01, max: 100 }, 1),
            },
    };
  }

  #pool(pool: ObjectReader): TrafficSettings['connectionPool'] {
    pool.only(['tcp', 'http']);
    const tcp = pool.object('tcp');
    const http = pool.object('http');
    tcp.only(['maxConnections', 'connectTimeout', 'maxConnectionDuration', 'idleTimeout', 'tcpKeepalive']);
    http.only([
      ...['http1MaxPendingRequests', 'http2MaxRequests', 'maxRequestsPerConnection', 'maxRetries', 'idleTimeout'],
      ...['h2UpgradePolicy', 'useClientProtocol', 'maxConcurrentStreams', 'http2KeepAlive'],
    ]);
    for (const key of ['maxConnectionDuration'])
      if (tcp.has(key)) this.#note(tcp, key, 'connections live until they idle');
    for (const key of ['useClientProtocol', 'maxConcurrentStreams']) {
      if (http.has(key)) this.#note(http, key, 'the protocol of the port decides');
    }
    const keepAlive = 'the tunnels between proxies have keep-alives of their own';
    if (tcp.has('tcpKeepalive')) this.#note(tcp, 'tcpKeepalive', keepAlive);
    if (http.has('http2KeepAlive')) this.#note(http, 'http2KeepAlive', keepAlive);
    tcp.object('tcpKeepalive').only(['probes', 'time', 'interval']);
    http.object('http2KeepAlive').only(['interval', 'timeout']);
    const upgrade = http.oneOf('h2UpgradePolicy', ['DEFAULT', 'DO_NOT_UPGRADE', 'UPGRADE'], 'DEFAULT');
    return {
      maxConnections: tcp.integer('maxConnections', anyCount, 0),
      connectTimeoutMs: istioDuration(tcp, 'connectTimeout') ?? 0,
      maxPendingRequests: http.integer('http1MaxPendingRequests', anyCount, 0),
      maxRequests: http.integer('http2MaxRequests', anyCount, 0),
      maxRequestsPerConnection: http.integer('maxRequestsPerConnection', anyCount, 0),
      maxRetries: http.integer('maxRetries', anyCount, 0),
      idleTimeoutMs: istioDuration(http, 'idleTimeout') ?? istioDuration(tcp, 'idleTimeout') ?? 0,
      upgradeToHttp2: upgrade === 'UPGRADE',
    };
  }

  #outlier(outlier: ObjectReader): TrafficSettings['outlier'] {
    outlier.only([
      ...['consecutiveErrors', 'consecutive5xxErrors', 'consecutiveGatewayErrors', 'consecutiveLocalOriginFailures'],
      ...['splitExternalLocalOriginErrors', 'interval', 'baseEjectionTime', 'maxEjectionPercent', 'minHealthPercent'],
      'outlierDetectionHttpErrorCodes',
    ]);
    if (outlier.has('outlierDetectionHttpErrorCodes')) {
      this.#note(outlier, 'outlierDetectionHttpErrorCodes', '5xx are counted');
    }
    const count = (key: string): number | null => (outlier.has(key) ? outlier.integer(key, anyCount) : null);
    return {
      consecutive5xx: count('consecutive5xxErrors'),
      // The name of before Istio 1.7.
      consecutiveGatewayErrors: count('consecutiveGatewayErrors') ?? count('consecutiveErrors'),
      consecutiveLocalFailures: count('consecutiveLocalOriginFailures'),
      splitLocalFailures: outlier.boolean('splitExternalLocalOriginErrors', false),
      intervalMs: istioDuration(outlier, 'interval'),
      baseEjectionMs: istioDuration(outlier, 'baseEjectionTime'),
      maxEjectionPercent: outlier.has('maxEjectionPercent') ? outlier.integer('maxEjectionPercent', percent) : null,
      minHealthPercent: outlier.has('minHealthPercent') ? outlier.integer('minHealthPercent', percent) : null,
    };
  }

  #budget(budget: ObjectReader): TrafficSettings['retryBudget'] {
    budget.only(['percent', 'minRetryConcurrency', 'budgetInterval']);
    if (istioDuration(budget, 'budgetInterval')) {
      this.#note(budget, 'budgetInterval', 'the share is of the requests in flight');
    }
    const value = isMapping(budget.fields['percent'])
      ? budget.object('percent').number('value', percent, 20)
      : budget.number('percent', percent, 20);
    return { percent: value, minConcurrency: budget.integer('minRetryConcurrency', anyCount, 3) };
  }

  #note(object: ObjectReader, key: string, outcome: string): void {
    this.#unsupported.push({ path: [...object.path, key], message: `${key} is not supported: ${outcome}` });
  }
}

function readHash(hash: ObjectReader): ConsistentHash {
  const keys = ['httpHeaderName', 'httpCookie', 'useSourceIp', 'httpQueryParameterName'];
  hash.only([...keys, 'ringHash', 'maglev', 'minimumRingSize']);
  const said = keys.filter((key) => hash.has(key));
  if (said.length !== 1) hash.fail(said[1] ?? 'httpHeaderName', `must be the one of ${keys.join(', ')} that is there`);
  const ring = hash.object('ringHash');
  ring.only(['minimumRingSize']);
  const maglev = hash.object('maglev');
  maglev.only(['tableSize']);
  const isMaglev = hash.has('maglev');
  const old = hash.integer('minimumRingSize', anyCount, ringSizeMin);
  const size = isMaglev
    ? maglev.integer('tableSize', { min: 3, max: 5_000_011 }, maglevSize)
    : ring.integer('minimumRingSize', { min: 1, max: 8_388_608 }, old);
  return { key: readHashKey(hash), table: isMaglev ? 'maglev' : 'ring', size };
}

function readHashKey(hash: ObjectReader): ConsistentHash['key'] {
  if (hash.has('httpHeaderName')) return { kind: 'header', name: hash.string('httpHeaderName').toLowerCase() };
  if (hash.has('httpQueryParameterName')) return { kind: 'query', name: hash.string('httpQueryParameterName') };
  if (!hash.has('httpCookie')) {
    if (!hash.boolean('useSourceIp', false)) hash.fail('useSourceIp', 'must be true');
    return { kind: 'source' };
  }
  const cookie = hash.object('httpCookie');
  cookie.only(['name', 'path', 'ttl', 'attributes']);
  return {
    kind: 'cookie',
    name: headText(cookie, 'name'),
    path: headText(cookie, 'path', ''),
    ttlMs: istioDuration(cookie, 'ttl'),
    ...(cookie.has('attributes') ? { attributes: cookie.objects('attributes').map(readCookieAttribute) } : {}),
  };
}

function readCookieAttribute(attribute: ObjectReader): string {
  attribute.only(['name', 'value']);
  const text = attribute.has('value')
    ? `${attribute.string('name')}=${attribute.string('value')}`
    : attribute.string('name');
  if (!/^[\x20-\x3a\x3c-\x7e]+$/.test(text)) attribute.fail('value', 'must have neither a semicolon nor a line break');
  return text;
}

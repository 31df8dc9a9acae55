// For tests: what becomes of every field of VirtualService, DestinationRule, ReferenceGrant: a value to write there,
// and whether the compiled routes obey it or a finding refuses it by name. Gateway API's routes stand beside it.

/** `obeyed` changes what is compiled; `refused` is named in a warning or error; `meaningless` in a mere remark. */
export type Verdict = 'obeyed' | 'refused' | 'meaningless';

/** `spec` fields by path: `[]` is the first element of a list, `*` the key `version`. Undefined takes one away. */
export type Fields = Readonly<Record<string, unknown>>;

/** `beside` is there with and without the value. */
export type FieldRow = readonly [path: string, verdict: Verdict, value: unknown, beside?: Fields];

/** A field that may stand in several places of a kind. */
export function placed(rows: readonly FieldRow[], at: string, beside: Fields = {}): FieldRow[] {
  return rows.map(([path, verdict, value, own = {}]) => [
    at + path,
    verdict,
    value,
    { ...beside, ...Object.fromEntries(Object.entries(own).map(([key, one]) => [at + key, one])) },
  ]);
}

const noRoute: Fields = { 'http[].route': undefined };
const cors: Fields = { 'http[].corsPolicy.allowOrigins[].exact': 'https://a.example' };
const redirected: Fields = { ...noRoute, 'http[].redirect.uri': '/x' };
const answered: Fields = { ...noRoute, 'http[].directResponse.status': 200 };
const delayed: Fields = { 'http[].fault.delay.fixedDelay': '1s', 'http[].fault.delay.percentage.value': 1 };
const aborted: Fields = { 'http[].fault.abort.httpStatus': 503, 'http[].fault.abort.percentage.value': 1 };
const mirrored: Fields = { 'http[].mirror.host': 'v1' };
const mirroredOften: Fields = { 'http[].mirrors[].destination.host': 'v1' };
const two = [
  { destination: { host: 'v1' }, weight: 1 },
  { destination: { host: 'v2' }, weight: 1 },
];
const ownName = 'echo.default.svc.cluster.local';
const tcp: Fields = { 'tcp[].route[].destination.host': 'v2' };
const tls: Fields = { 'tls[].match[].sniHosts': [ownName], 'tls[].route[].destination.host': 'v2' };

const values = (at: string): FieldRow[] => [
  [`${at}.exact`, 'obeyed', 'a'],
  [`${at}.prefix`, 'obeyed', 'a'],
  [`${at}.regex`, 'obeyed', 'a+'],
];
const edits = (at: string): FieldRow[] =>
  ['request', 'response'].flatMap((direction): FieldRow[] => [
    [`${at}.${direction}.add.*`, 'obeyed', 'x'],
    [`${at}.${direction}.remove[]`, 'obeyed', 'x-gone'],
    [`${at}.${direction}.set.*`, 'obeyed', 'x'],
  ]);
const destination = (at: string, beside: Fields): FieldRow[] => [
  [`${at}.host`, 'obeyed', 'v2', beside],
  [`${at}.port.number`, 'obeyed', 8080, beside],
  [`${at}.subset`, 'obeyed', 's', beside],
];

/** VirtualService; the rule of the base leads to `v1`. */
export const virtualServiceRows: readonly FieldRow[] = [
  ['exportTo[]', 'obeyed', 'elsewhere'],
  ['gateways[]', 'obeyed', 'edge'],
  ['hosts[]', 'obeyed', 'v2'],
  ['http[].corsPolicy.allowCredentials', 'obeyed', true, cors],
  ['http[].corsPolicy.allowHeaders[]', 'obeyed', 'x-a', cors],
  ['http[].corsPolicy.allowMethods[]', 'obeyed', 'GET', cors],
  ['http[].corsPolicy.allowOrigin[]', 'obeyed', 'https://a.example'],
  ...values('http[].corsPolicy.allowOrigins[]'),
  ['http[].corsPolicy.exposeHeaders[]', 'obeyed', 'x-a', cors],
  ['http[].corsPolicy.maxAge', 'obeyed', '1h', cors],
  ['http[].corsPolicy.unmatchedPreflights', 'obeyed', 'IGNORE', cors],
  ['http[].delegate.name', 'obeyed', 'child', noRoute],
  ['http[].delegate.namespace', 'obeyed', 'other', { ...noRoute, 'http[].delegate.name': 'child' }],
  ['http[].directResponse.body.bytes', 'obeyed', 'eA==', answered],
  ['http[].directResponse.body.string', 'obeyed', 'x', answered],
  ['http[].directResponse.status', 'obeyed', 404, noRoute],
  ['http[].fault.abort.grpcStatus', 'obeyed', 'UNAVAILABLE', { 'http[].fault.abort.percentage.value': 1 }],
  ['http[].fault.abort.http2Error', 'refused', 'REFUSED_STREAM', { 'http[].fault.abort.percentage.value': 1 }],
  ['http[].fault.abort.httpStatus', 'obeyed', 503, { 'http[].fault.abort.percentage.value': 1 }],
  ['http[].fault.abort.percentage.value', 'obeyed', 50, aborted],
  ['http[].fault.delay.exponentialDelay', 'refused', '1s', { 'http[].fault.delay.percentage.value': 1 }],
  ['http[].fault.delay.fixedDelay', 'obeyed', '2s', delayed],
  ['http[].fault.delay.percent', 'obeyed', 50, { 'http[].fault.delay.fixedDelay': '1s' }],
  ['http[].fault.delay.percentage.value', 'obeyed', 50, delayed],
  ...edits('http[].headers'),
  ...values('http[].match[].authority'),
  ['http[].match[].gateways[]', 'obeyed', 'edge'],
  ...values('http[].match[].headers.*'),
  ['http[].match[].ignoreUriCase', 'obeyed', true, { 'http[].match[].uri.prefix': '/A' }],
  ...values('http[].match[].method'),
  ['http[].match[].name', 'refused', 'named'],
  ['http[].match[].port', 'obeyed', 80],
  ...values('http[].match[].queryParams.*'),
  ...values('http[].match[].scheme'),
  ['http[].match[].sourceLabels.*', 'obeyed', 'v1'],
  ['http[].match[].sourceNamespace', 'obeyed', 'other'],
  ['http[].match[].statPrefix', 'refused', 'counted'],
  ...values('http[].match[].uri'),
  ...values('http[].match[].withoutHeaders.*'),
  ...destination('http[].mirror', mirrored),
  ['http[].mirrorPercent', 'obeyed', 50, mirrored],
  ['http[].mirrorPercentage.value', 'obeyed', 50, mirrored],
  ['http[].mirror_percent', 'obeyed', 50, mirrored],
  ...destination('http[].mirrors[].destination', mirroredOften),
  ['http[].mirrors[].percentage.value', 'obeyed', 50, mirroredOften],
  ['http[].name', 'obeyed', 'named'],
  ['http[].redirect.authority', 'obeyed', 'a.example', redirected],
  ['http[].redirect.derivePort', 'obeyed', 'FROM_REQUEST_PORT', redirected],
  ['http[].redirect.port', 'obeyed', 8443, redirected],
  ['http[].redirect.prefixRewrite', 'obeyed', '/y', { ...noRoute, 'http[].redirect.authority': 'a.example' }],
  ['http[].redirect.redirectCode', 'obeyed', 308, redirected],
  ['http[].redirect.scheme', 'obeyed', 'https', redirected],
  ['http[].redirect.uri', 'obeyed', '/y', redirected],
  ['http[].retries.attempts', 'obeyed', 7],
  ['http[].retries.backoff', 'obeyed', '1s', { 'http[].retries.attempts': 3 }],
  ['http[].retries.perTryTimeout', 'obeyed', '1s', { 'http[].retries.attempts': 3 }],
  ['http[].retries.retryIgnorePreviousHosts', 'refused', false, { 'http[].retries.attempts': 3 }],
  ['http[].retries.retryOn', 'obeyed', 'connect-failure', { 'http[].retries.attempts': 3 }],
  ['http[].retries.retryRemoteLocalities', 'refused', false, { 'http[].retries.attempts': 3 }],
  ['http[].rewrite.authority', 'obeyed', 'a.example'],
  ['http[].rewrite.uri', 'obeyed', '/x'],
  ['http[].rewrite.uriRegexRewrite.match', 'obeyed', 'a+'],
  ['http[].rewrite.uriRegexRewrite.rewrite', 'obeyed', 'b', { 'http[].rewrite.uriRegexRewrite.match': 'a+' }],
  ...destination('http[].route[].destination', {}),
  ...edits('http[].route[].headers'),
  ['http[].route[].weight', 'obeyed', 3, { 'http[].route': two }],
  ['http[].timeout', 'obeyed', '5s'],
  ['tcp[].match[].destinationSubnets[]', 'refused', '10.0.0.0/8', tcp],
  ['tcp[].match[].gateways[]', 'obeyed', 'edge', tcp],
  ['tcp[].match[].port', 'obeyed', 80, tcp],
  ['tcp[].match[].sourceLabels.*', 'refused', 'v1', tcp],
  ['tcp[].match[].sourceNamespace', 'refused', 'other', tcp],
  ['tcp[].match[].sourceSubnet', 'refused', '10.0.0.0/8', tcp],
  ['tcp[].route[].destination.host', 'obeyed', 'v2'],
  ['tcp[].route[].destination.port.number', 'obeyed', 8080, tcp],
  ['tcp[].route[].destination.subset', 'obeyed', 's', { 'tcp[].route[].destination.host': 'v1' }],
  ['tcp[].route[].weight', 'obeyed', 3, { 'tcp[].route': two }],
  ['tls[].match[].destinationSubnets[]', 'refused', '10.0.0.0/8', tls],
  ['tls[].match[].gateways[]', 'obeyed', 'edge', tls],
  ['tls[].match[].port', 'obeyed', 80, tls],
  ['tls[].match[].sniHosts[]', 'obeyed', 'elsewhere.example', tls],
  ['tls[].match[].sourceLabels.*', 'refused', 'v1', tls],
  ['tls[].match[].sourceNamespace', 'refused', 'other', tls],
  ['tls[].route[].destination.host', 'obeyed', 'v1', tls],
  ['tls[].route[].destination.port.number', 'obeyed', 8080, tls],
  ['tls[].route[].destination.subset', 'obeyed', 's', { ...tls, 'tls[].route[].destination.host': 'v1' }],
  ['tls[].route[].weight', 'obeyed', 3, { ...tls, 'tls[].route': two }],
];

const hash = 'loadBalancer.consistentHash';
const hashed: Fields = { [`${hash}.httpHeaderName`]: 'x-user' };
const cookie: Fields = { [`${hash}.httpCookie.name`]: 'user', [`${hash}.httpCookie.ttl`]: '0s' };
const warm: Fields = { 'loadBalancer.warmup.duration': '30s' };

const distributed: Fields = { 'loadBalancer.localityLbSetting.distribute': [{ from: 'a/*', to: { 'a/*': 100 } }] };
const failedOver: Fields = {
  'loadBalancer.localityLbSetting.failover': [{ from: 'a', to: 'b' }],
  outlierDetection: {},
};

/** Of a `trafficPolicy`, and of each port within it. */
const settingsRows: readonly FieldRow[] = [
  ['connectionPool.http.h2UpgradePolicy', 'obeyed', 'UPGRADE'],
  ['connectionPool.http.http1MaxPendingRequests', 'obeyed', 5],
  ['connectionPool.http.http2KeepAlive.interval', 'refused', '5s'],
  ['connectionPool.http.http2KeepAlive.timeout', 'refused', '5s'],
  ['connectionPool.http.http2MaxRequests', 'obeyed', 5],
  ['connectionPool.http.idleTimeout', 'obeyed', '5s'],
  ['connectionPool.http.maxConcurrentStreams', 'refused', 5],
  ['connectionPool.http.maxRequestsPerConnection', 'obeyed', 5],
  ['connectionPool.http.maxRetries', 'obeyed', 5],
  ['connectionPool.http.useClientProtocol', 'refused', true],
  ['connectionPool.tcp.connectTimeout', 'obeyed', '5s'],
  ['connectionPool.tcp.idleTimeout', 'obeyed', '5s'],
  ['connectionPool.tcp.maxConnectionDuration', 'refused', '5s'],
  ['connectionPool.tcp.maxConnections', 'obeyed', 5],
  ['connectionPool.tcp.tcpKeepalive.interval', 'refused', '5s'],
  ['connectionPool.tcp.tcpKeepalive.probes', 'refused', 5],
  ['connectionPool.tcp.tcpKeepalive.time', 'refused', '5s'],
  [`${hash}.httpCookie.attributes[].name`, 'obeyed', 'Secure', cookie],
  [
    `${hash}.httpCookie.attributes[].value`,
    'obeyed',
    'Lax',
    { ...cookie, [`${hash}.httpCookie.attributes[].name`]: 'S' },
  ],
  [`${hash}.httpCookie.name`, 'obeyed', 'other', cookie],
  [`${hash}.httpCookie.path`, 'obeyed', '/a', cookie],
  [`${hash}.httpCookie.ttl`, 'obeyed', '5s', cookie],
  [`${hash}.httpHeaderName`, 'obeyed', 'x-other'],
  [`${hash}.httpQueryParameterName`, 'obeyed', 'user'],
  [`${hash}.maglev.tableSize`, 'obeyed', 101, hashed],
  [`${hash}.minimumRingSize`, 'obeyed', 5, hashed],
  [`${hash}.ringHash.minimumRingSize`, 'obeyed', 5, hashed],
  [`${hash}.useSourceIp`, 'obeyed', true],
  ['loadBalancer.localityLbSetting.distribute[].from', 'obeyed', 'b/*', distributed],
  [
    'loadBalancer.localityLbSetting.distribute[].to.*',
    'obeyed',
    100,
    { 'loadBalancer.localityLbSetting.distribute[].from': 'a/*' },
  ],
  ['loadBalancer.localityLbSetting.enabled', 'obeyed', false, { outlierDetection: {} }],
  ['loadBalancer.localityLbSetting.failover[].from', 'obeyed', 'c', failedOver],
  ['loadBalancer.localityLbSetting.failover[].to', 'obeyed', 'c', failedOver],
  ['loadBalancer.localityLbSetting.failoverPriority[]', 'refused', 'topology.kubernetes.io/zone'],
  ['loadBalancer.simple', 'obeyed', 'RANDOM'],
  ['loadBalancer.warmup.aggression', 'obeyed', 2, warm],
  ['loadBalancer.warmup.duration', 'obeyed', '5s', warm],
  ['loadBalancer.warmup.minimumPercent', 'obeyed', 20, warm],
  ['loadBalancer.warmupDurationSecs', 'obeyed', '5s'],
  ['loadBalancer.zoneAwareLbSetting.enabled', 'refused', true],
  ['loadBalancer.zoneAwareLbSetting.failover[].from', 'refused', 'a'],
  ['loadBalancer.zoneAwareLbSetting.failover[].to', 'refused', 'b'],
  ['loadBalancer.zoneAwareLbSetting.failoverPriority[]', 'refused', 'topology.kubernetes.io/zone'],
  ['loadBalancer.zoneAwareLbSetting.minClusterSize', 'refused', 6],
  ['outlierDetection.baseEjectionTime', 'obeyed', '5s'],
  ['outlierDetection.consecutive5xxErrors', 'obeyed', 7],
  ['outlierDetection.consecutiveErrors', 'obeyed', 7],
  ['outlierDetection.consecutiveGatewayErrors', 'obeyed', 7],
  ['outlierDetection.consecutiveLocalOriginFailures', 'obeyed', 7],
  ['outlierDetection.interval', 'obeyed', '5s'],
  ['outlierDetection.maxEjectionPercent', 'obeyed', 50],
  ['outlierDetection.minHealthPercent', 'obeyed', 50],
  ['outlierDetection.outlierDetectionHttpErrorCodes[]', 'refused', 503],
  ['outlierDetection.splitExternalLocalOriginErrors', 'obeyed', true],
  ['tls.caCertificates', 'refused', '/ca.pem'],
  ['tls.caCrl', 'refused', '/crl.pem'],
  ['tls.clientCertificate', 'refused', '/cert.pem'],
  ['tls.credentialName', 'refused', 'secret'],
  ['tls.insecureSkipVerify', 'refused', true],
  ['tls.mode', 'refused', 'SIMPLE'],
  ['tls.privateKey', 'refused', '/key.pem'],
  ['tls.sni', 'refused', 'a.example'],
  ['tls.subjectAltNames[]', 'refused', 'a.example'],
];

/** Of a `trafficPolicy` alone. */
const levelRows: readonly FieldRow[] = [
  ['proxyProtocol.version', 'refused', 'V2'],
  ['retryBudget.budgetInterval', 'refused', '5s'],
  ['retryBudget.minRetryConcurrency', 'obeyed', 9],
  ['retryBudget.percent', 'obeyed', 55],
  ['tunnel.protocol', 'refused', 'CONNECT'],
  ['tunnel.targetHost', 'refused', 'a.example'],
  ['tunnel.targetPort', 'refused', 80],
  ['portLevelSettings[].port.number', 'obeyed', 80],
  ...placed(settingsRows, 'portLevelSettings[].').map(
    ([path, verdict, value, beside]): FieldRow => [
      path,
      verdict,
      value,
      { 'portLevelSettings[].port.number': 80, ...beside },
    ],
  ),
  ...settingsRows,
];

/** DestinationRule; the base has a subset `s`. */
export const destinationRuleRows: readonly FieldRow[] = [
  ['exportTo[]', 'obeyed', 'elsewhere'],
  ['host', 'obeyed', 'v2'],
  ['subsets[].labels.*', 'obeyed', 'v9'],
  ['subsets[].name', 'obeyed', 'other'],
  ['workloadSelector.matchLabels.*', 'refused', 'v1'],
  ...placed(levelRows, 'subsets[].trafficPolicy.'),
  ...placed(levelRows, 'trafficPolicy.'),
];

/** ReferenceGrant; the base grants the namespace of the route. */
export const referenceGrantRows: readonly FieldRow[] = [
  ['from[].group', 'obeyed', 'x.io'],
  ['from[].kind', 'obeyed', 'GRPCRoute'],
  ['from[].namespace', 'obeyed', 'elsewhere'],
  ['to[].group', 'obeyed', 'x.io', { 'from[].namespace': 'elsewhere' }],
  ['to[].kind', 'obeyed', 'Secret', { 'from[].namespace': 'elsewhere' }],
  ['to[].name', 'obeyed', 'v2'],
];

// What Istio's tasks and reference pages have readers apply, step by step: read and obeyed, or refused by name.
import assert from 'node:assert/strict';
import { type Page, testDocuments } from './testing-documents.ts';

const bookinfo: readonly Page[] = [['bookinfo'], ['bookinfo-destination-rules']];
const versions: readonly Page[] = [['bookinfo'], ['bookinfo-versions']];
/** The rules are for more than the sample runs by itself: its databases, and a second version of details. */
const unusedSubsets = [
  /^warning DestinationRule ratings: subset v2 selects no pod of service default\/ratings$/m,
  /^warning DestinationRule ratings: subset v2-mysql selects no pod of service default\/ratings$/m,
  /^warning DestinationRule ratings: subset v2-mysql-vm selects no pod of service default\/ratings$/m,
  /^warning DestinationRule details: subset v2 selects no pod of service default\/details$/m,
];
const httpbin: Page = ['httpbin'];
const reference: Page = ['reference-services'];

const mirrored = 'httpbin/v1; 100 % to httpbin/v2-shadow';
const mirroredByRoute = 'httpbin-v1; 100 % to httpbin-v2';
const safely = 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes';

testDocuments([
  {
    title: 'request routing: all to v1',
    pages: [...bookinfo, ['istio-request-routing', 0, 1, 2, 3]],
    findings: unusedSubsets,
    requests: ['productpage', 'reviews', 'ratings', 'details'].map((name) => [`${name}:9080 /`, `${name}/v1`] as const),
  },
  {
    title: 'request routing: by user',
    pages: [...bookinfo, ['istio-request-routing', 0, 2, 3, 4]],
    findings: unusedSubsets,
    requests: [
      ['reviews:9080 /reviews/0', 'reviews/v2', 'end-user: jason'],
      ['reviews:9080 /reviews/0', 'reviews/v1', 'end-user: other'],
      ['reviews:9080 /reviews/0', 'reviews/v1'],
    ],
  },
  {
    title: 'request routing with Gateway API: all to v1',
    pages: [...versions, ['istio-request-routing-gateway-api', 0, 1, 2, 3]],
    requests: ['productpage', 'reviews', 'ratings', 'details'].map((name) => [`${name}:9080 /`, `${name}-v1`] as const),
  },
  {
    title: 'request routing with Gateway API: by user',
    pages: [...versions, ['istio-request-routing-gateway-api', 1, 2, 3, 4]],
    requests: [
      ['reviews:9080 /reviews/0', 'reviews-v2', 'end-user: jason'],
      ['reviews:9080 /reviews/0', 'reviews-v1'],
    ],
  },
  {
    title: 'fault injection: a delay',
    pages: [...bookinfo, ['istio-fault-injection', 0]],
    findings: unusedSubsets,
    requests: [
      ['ratings:9080 /', 'ratings/v1; delay 100 % by 7000', 'end-user: jason'],
      ['ratings:9080 /', 'ratings/v1'],
    ],
  },
  {
    title: 'fault injection: an abort',
    pages: [...bookinfo, ['istio-fault-injection', 1]],
    findings: unusedSubsets,
    requests: [
      ['ratings:9080 /', 'ratings/v1; abort 100 % with 500', 'end-user: jason'],
      ['ratings:9080 /', 'ratings/v1'],
    ],
  },
  {
    title: 'traffic shifting: a half',
    pages: [...bookinfo, ['istio-traffic-shifting', 0]],
    findings: unusedSubsets,
    requests: [['reviews:9080 /', 'reviews/v1 x50, reviews/v3 x50']],
  },
  {
    title: 'traffic shifting: all',
    pages: [...bookinfo, ['istio-traffic-shifting', 1]],
    findings: unusedSubsets,
    requests: [['reviews:9080 /', 'reviews/v3']],
  },
  ...(['reviews-v1 x50, reviews-v3 x50', 'reviews-v3', 'reviews-v1 x90, reviews-v2 x10'] as const).map(
    (outcome, at) => ({
      title: `traffic shifting with Gateway API: ${outcome}`,
      pages: [...versions, ['istio-traffic-shifting-gateway-api', at]] as readonly Page[],
      requests: [['reviews:9080 /', outcome]] as const,
    }),
  ),
  {
    title: 'request time-outs',
    pages: [...bookinfo, ['istio-request-timeouts', 1, 2]],
    findings: unusedSubsets,
    requests: [
      ['reviews:9080 /', 'reviews/v2; timeout 500'],
      ['ratings:9080 /', 'ratings/v1; delay 100 % by 2000'],
    ],
  },
  {
    title: 'request time-outs: before them, as percentages were written earlier',
    pages: [...bookinfo, ['istio-request-timeouts', 0, 3]],
    findings: unusedSubsets,
    requests: [
      ['reviews:9080 /', 'reviews/v2'],
      ['ratings:9080 /', 'ratings/v1; delay 100 % by 2000'],
    ],
  },
  {
    title: 'request time-outs with Gateway API',
    pages: [...versions, ['istio-request-timeouts-gateway-api']],
    requests: [['reviews:9080 /', 'reviews-v2; timeout 500']],
  },
  ...[0, 1].map((at) => ({
    title: `circuit breaking, ${at === 0 ? 'as it is' : 'before Istio 1.7'}`,
    pages: [httpbin, ['istio-circuit-breaking', at]] as readonly Page[],
    requests: [['httpbin:8000 /', 'httpbin']] as const,
    check: (compiled: Parameters<NonNullable<Parameters<typeof testDocuments>[0][number]['check']>>[0]) => {
      const { connectionPool, outlier } = compiled.routes('httpbin').destination.policy;
      const { maxConnections, maxPendingRequests, maxRequestsPerConnection } = connectionPool;
      assert.deepEqual([maxConnections, maxPendingRequests, maxRequestsPerConnection], [1, 1, 1]);
      const { intervalMs, baseEjectionMs, maxEjectionPercent } = outlier!;
      assert.deepEqual([intervalMs, baseEjectionMs, maxEjectionPercent], [1000, 180_000, 100]);
      assert.equal(at === 0 ? outlier?.consecutive5xx : outlier?.consecutiveGatewayErrors, 1);
    },
  })),
  {
    title: 'mirroring: all to v1',
    pages: [httpbin, ['istio-mirroring', 0, 1]],
    requests: [['httpbin:8000 /', 'httpbin/v1']],
  },
  ...[2, 3].map((at) => ({
    title: `mirroring, ${at === 2 ? 'as it is' : 'before Istio 1.6'}`,
    pages: [httpbin, ['istio-mirroring', 1, at]] as readonly Page[],
    requests: [['httpbin:8000 /headers', mirrored]] as const,
  })),
  ...(
    [
      ['httpbin-v1', 2],
      [mirroredByRoute, 3],
      [mirroredByRoute, 4],
    ] as const
  ).map(([outcome, at]) => ({
    title: `mirroring with Gateway API, step ${at}`,
    pages: [httpbin, ['istio-mirroring-gateway-api', 0, 1, at]] as readonly Page[],
    requests: [['httpbin:8000 /headers', outcome]] as const,
  })),
  {
    title: 'retries',
    pages: [...bookinfo, ['istio-retries', 0]],
    findings: unusedSubsets,
    requests: [['ratings:9080 /', `ratings/v1; each try 2000; retry 3 on ${safely} after 25`]],
  },
  {
    title: 'time-outs',
    pages: [...bookinfo, ['istio-retries', 1]],
    findings: unusedSubsets,
    requests: [['ratings:9080 /', 'ratings/v1; timeout 10000']],
  },
  {
    title: 'retries on conditions: the author learns what a POST does not get',
    pages: [...bookinfo, ['istio-retries', 2]],
    requests: [
      ['ratings:9080 /', 'ratings/v1; each try 2000; retry 3 on gateway-error,connect-failure,refused-stream after 25'],
    ],
    findings: [
      ...unusedSubsets,
      /^warning VirtualService ratings: retryOn gateway-error does not repeat a POST or PATCH that has left/m,
    ],
  },
]);

testDocuments([
  {
    title: 'reference: rewriting, and subsets',
    pages: [reference, ['istio-virtual-service', 0, 1]],
    requests: [
      ['reviews.prod /wpcatalog/x', 'reviews/v2; prefix to /newcatalog'],
      ['reviews.prod /consumercatalog', 'reviews/v2; prefix to /newcatalog'],
      ['reviews.prod /', 'reviews/v1'],
    ],
  },
  {
    title: 'reference: a host outside of the mesh is refused by name',
    pages: [reference, ['istio-virtual-service', 2, 3]],
    findings: [
      /host wikipedia.org is no service of the mesh, and waypoints route to no host of a ServiceEntry: nothing is done/,
      /host wikipedia.org is no service of the mesh, and waypoints route to no host of a ServiceEntry$/m,
    ],
  },
  {
    title: 'reference: edits of headers, of the rule and of one destination',
    pages: [reference, ['istio-virtual-service', 1, 4]],
    requests: [['reviews.prod /', 'reviews/v2 x25, reviews/v1 x75 (response -foo); request test=true']],
  },
  {
    title: 'reference: TCP',
    pages: [reference, ['istio-virtual-service', 5]],
    check: (compiled) => {
      const [backend] = compiled.routes('mongo.prod').ports[0]?.tcpBackends ?? [];
      assert.deepEqual([backend?.service, backend?.port], ['backup/mongo.backup.svc.cluster.local', 5555]);
    },
  },
  {
    title: 'reference: of the root namespace, which no waypoint obeys',
    pages: [reference, ['istio-virtual-service', 6]],
    requests: [['productpage.prod /', 'productpage']],
    findings: [
      /does not hold for host productpage.prod.svc.cluster.local: a waypoint obeys the VirtualServices of its own/,
    ],
  },
  {
    title: 'reference: paths of any case',
    pages: [reference, ['istio-virtual-service', 7]],
    requests: [
      ['ratings.prod /RATINGS/v2/x', 'ratings', 'end-user: jason'],
      ['ratings.prod /ratings/v2/x', '404'],
    ],
  },
  {
    title: 'reference: a redirect',
    pages: [reference, ['istio-virtual-service', 8]],
    requests: [
      ['ratings.prod /v1/getProductRatings', '301 to newratings.default.svc.cluster.local full /v1/bookRatings'],
    ],
  },
  {
    title: 'reference: an answer',
    pages: [reference, ['istio-virtual-service', 9]],
    requests: [['ratings.prod /v1/getProductRatings', '503 unknown error']],
  },
  {
    title: 'reference: rewriting a prefix',
    pages: [reference, ['istio-virtual-service', 10]],
    requests: [['ratings.prod /ratings/1', 'ratings/v1; prefix to /v1/bookRatings']],
  },
  {
    title: 'reference: CORS',
    pages: [reference, ['istio-virtual-service', 11]],
    requests: [['ratings.prod /', 'ratings/v1; cors POST,GET 86400 s']],
  },
]);

// The codes of what is found in one object.
import {
  destination,
  gateway,
  http,
  keys,
  one,
  peer,
  plainRoute,
  policy,
  type Row,
  route,
  ruled,
  service,
  several,
  toCart,
  tokens,
  traffic,
  virtual,
} from './testing-manifests.ts';

const nearCart = /namespace shop has bare, cart; did you mean cart\?/;

/** Findings about one object among those that are there. */
export const objectRows: readonly Row[] = [
  { code: 'AMB0001', bad: policy('{action: DENIED}'), mend: ['DENIED', 'DENY'] },
  {
    code: 'AMB0002',
    bad: one('networking.istio.io/v1', 'ServiceEntry', '{hosts: [a.example]}'),
    mend: [/.*/, destination('{host: cart}')],
    says: /ServiceEntry of networking.istio.io is not read: its hosts are no services of the mesh/,
  },
  {
    code: 'AMB0004',
    bad: `{apiVersion: telemetry.istio.io/v1, kind: Telemetry, metadata: {name: x, namespace: shop}, spec: {
      tracing: [{randomSamplingPercentage: 5}]}}`,
    mend: [/tracing: .*\}\]/, ''],
    says: /Namespace shop with ambient.mesh\/trace-sampling-percent: "5"/,
  },
  {
    code: 'AMB0101',
    bad: '{apiVersion: v1, kind: Namespace, metadata: {name: x, labels: {ambient.mesh/dataplane-mode: ambeint}}}',
    mend: ['ambeint', 'ambient'],
  },
  {
    code: 'AMB0102',
    bad: service('{selector: {app: cart}, ports: [{name: http, port: 80}]}').replace(
      'waypoint: waypoint',
      'waypoint: waypiont',
    ),
    mend: ['waypiont', 'waypoint'],
    says: /namespace shop has waypoint; did you mean waypoint\?/,
  },
  {
    code: 'AMB0103',
    bad: gateway('{gatewayClassName: ambient-waypoint, listeners: [{name: mesh, port: 80, protocol: HTTP}]}'),
    mend: ['port: 80, protocol: HTTP', 'port: 15008, protocol: HBONE'],
  },
  {
    code: 'AMB0104',
    bad: `{apiVersion: v1, kind: Namespace, metadata: {name: x, annotations: {ambient.mesh/trace-sampling-percent: 5%}}}`,
    mend: ['5%', '"5"'],
  },
  {
    code: 'AMB0201',
    bad: policy(
      '{selector: {matchLabels: {app: cart}}, targetRefs: [{group: "", kind: Service, name: cart}], rules: [{}]}',
    ),
    mend: [/, targetRefs: [^\]]*\]/, ''],
  },
  { code: 'AMB0202', bad: policy('{action: AUDIT, rules: [{}]}'), mend: ['action: AUDIT', 'action: DENY'] },
  {
    code: 'AMB0203',
    bad: policy('{action: CUSTOM, provider: {name: p}, rules: [{}]}'),
    mend: ['action: CUSTOM, provider: {name: p}', 'action: DENY'],
  },
  { code: 'AMB0204', bad: policy('{action: DENY}'), mend: ['DENY}', 'DENY, rules: [{}]}'] },
  { code: 'AMB0205', bad: policy('{rules: [{from: [{source: {ipBlocks: [10.0.0.0/99]}}]}]}'), mend: ['/99', '/8'] },
  {
    code: 'AMB0206',
    bad: policy('{rules: [{from: [{source: {principals: ["spiffe://cluster.local/ns/shop/sa/cart"]}}]}]}'),
    mend: ['spiffe://', ''],
  },
  {
    code: 'AMB0207',
    bad: policy('{rules: [{to: [{operation: {methods: [GET]}}]}]}'),
    mend: ['methods: [GET]', 'ports: ["80"]'],
  },
  {
    code: 'AMB0208',
    bad: policy('{rules: [{when: [{key: source.namespce, values: [shop]}]}]}'),
    mend: ['namespce', 'namespace'],
    says: /did you mean source.namespace/,
  },
  {
    code: 'AMB0209',
    bad: policy(
      '{action: DENY, rules: [{}]}',
      'metadata: {name: x, namespace: shop, annotations: {istio.io/dry-run: "yes"}}',
    ),
    mend: ['"yes"', '"true"'],
  },
  {
    code: 'AMB0210',
    bad: tokens(`[{issuer: i, jwks: ${keys}}]`, ''),
    mend: ['}]}}', '}], targetRefs: [{group: "", kind: Service, name: cart}]}}'],
  },
  {
    code: 'AMB0211',
    bad: policy('{targetRefs: [{group: "", kind: Service, name: crat}], rules: [{}]}'),
    mend: ['crat', 'cart'],
    says: nearCart,
  },
  { code: 'AMB0212', bad: policy('{rules: [{from: []}]}'), mend: ['{from: []}', '{}'] },
  { code: 'AMB0301', bad: tokens('[]'), mend: ['[]', `[{issuer: i, jwks: ${keys}}]`] },
  { code: 'AMB0302', bad: tokens('[{issuer: i, jwksUri: "ftp://x/keys"}]'), mend: ['ftp:', 'https:'] },
  {
    code: 'AMB0303',
    bad: tokens(`[{issuer: i, jwks: ${keys}, jwksUri: "https://x/keys"}]`),
    mend: [', jwksUri: "https://x/keys"', ''],
  },
  {
    code: 'AMB0304',
    bad: tokens(`[{issuer: i, jwks: ${keys}, outputClaimToHeaders: [{header: host, claim: sub}]}]`),
    mend: ['header: host', 'header: x-sub'],
  },
  {
    code: 'AMB0311',
    bad: several(
      peer('{mtls: {mode: STRICT}}', 'metadata: {name: a, namespace: shop}'),
      peer('{mtls: {mode: STRICT}}'),
    ),
    mend: ['spec: {mtls', 'spec: {selector: {matchLabels: {app: cart}}, mtls'],
  },
  {
    code: 'AMB0312',
    bad: peer('{portLevelMtls: {8080: {mode: STRICT}}}'),
    mend: ['{portLevelMtls', '{selector: {matchLabels: {app: cart}}, portLevelMtls'],
  },
  {
    code: 'AMB0321',
    bad: one('ambient.mesh/v1alpha1', 'CertificateRevocation', '{serials: ["7f"]}'),
    mend: ['namespace: shop', 'namespace: ambient-system'],
  },
  {
    code: 'AMB0322',
    bad: one('ambient.mesh/v1alpha1', 'CertificateRevocation', '{}', 'metadata: {name: x, namespace: ambient-system}'),
    mend: ['spec: {}', 'spec: {serials: ["7f"]}'],
  },
  {
    code: 'AMB0401',
    bad: route('{rules: [{backendRefs: [{name: cart, port: 80}]}]}'),
    mend: ['{rules', `{${toCart}, rules`],
  },
  {
    code: 'AMB0402',
    bad: route('{parentRefs: [{name: waypoint}], rules: [{backendRefs: [{name: cart, port: 80}]}]}'),
    mend: ['parentRefs: [{name: waypoint}]', toCart],
  },
  {
    code: 'AMB0403',
    bad: route('{parentRefs: [{name: edge}], rules: [{backendRefs: [{name: cart, port: 80}]}]}'),
    mend: ['parentRefs: [{name: edge}]', toCart],
  },
  {
    code: 'AMB0404',
    bad: ruled('[{backendRefs: [{name: cart, port: 80}]}]').replace('name: cart}', 'name: crat}'),
    mend: ['crat', 'cart'],
    says: nearCart,
  },
  {
    code: 'AMB0405',
    bad: ruled('[{backendRefs: [{name: cart, port: 80}]}]').replace('spec: {', 'spec: {hostnames: [a.example], '),
    mend: ['hostnames: [a.example], ', ''],
  },
  {
    code: 'AMB0406',
    bad: ruled('[{filters: [{type: Compress}], backendRefs: [{name: cart, port: 80}]}]'),
    mend: ['filters: [{type: Compress}], ', ''],
  },
  {
    code: 'AMB0407',
    bad: ruled('[{backendRefs: [{name: cart, port: 80, weight: 0}]}]'),
    mend: ['weight: 0', 'weight: 1'],
  },
  { code: 'AMB0408', bad: ruled('[{backendRefs: [{name: crat, port: 80}]}]'), mend: ['crat', 'cart'], says: nearCart },
  {
    code: 'AMB0409',
    bad: ruled(
      '[{filters: [{type: ExtensionRef, extensionRef: {group: g, kind: K, name: n}}], backendRefs: [{name: cart, port: 80}]}]',
    ),
    mend: [/filters: \[.*\}\}\], /, ''],
  },
  {
    code: 'AMB0410',
    bad: ruled(
      '[{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: crat, port: 80}}}], backendRefs: [{name: cart, port: 80}]}]',
    ),
    mend: ['crat', 'cart'],
    says: nearCart,
  },
  {
    code: 'AMB0411',
    bad: ruled('[{retry: {codes: [503]}, backendRefs: [{name: cart, port: 80}]}]'),
    mend: ['{retry', '{matches: [{method: GET}], retry'],
  },
  {
    code: 'AMB0501',
    bad: http(`[{${plainRoute}, fault: {delay: {fixedDelay: 1s}}}]`),
    mend: ['fixedDelay: 1s', 'fixedDelay: 1s, percentage: {value: 5}'],
  },
  { code: 'AMB0502', bad: virtual(`{hosts: [crat], http: [{${plainRoute}}]}`), mend: ['crat', 'cart'], says: nearCart },
  {
    code: 'AMB0503',
    bad: virtual(
      `{hosts: [cart.shop], exportTo: [.], http: [{route: [{destination: {host: cart.shop}}]}]}`,
      'metadata: {name: x, namespace: other}',
    ),
    mend: ['namespace: other', 'namespace: shop'],
  },
  {
    code: 'AMB0504',
    bad: several(ruled('[{backendRefs: [{name: cart, port: 80}]}]'), http(`[{${plainRoute}}]`)),
    mend: ['hosts: [cart]', 'hosts: [bare]'],
  },
  { code: 'AMB0505', bad: http('[{delegate: {name: gone}}]'), mend: ['delegate: {name: gone}', plainRoute] },
  {
    code: 'AMB0505',
    bad: several(
      virtual(`{http: [{${plainRoute}}]}`, 'metadata: {name: shared, namespace: shop}'),
      http('[{delegate: {name: shraed}}]'),
    ),
    mend: ['shraed', 'shared'],
    says: /namespace shop has shared, x; did you mean shared\?/,
  },
  { code: 'AMB0506', bad: http(`[{match: [{gateways: [edge]}], ${plainRoute}}]`), mend: ['[edge]', '[mesh]'] },
  {
    code: 'AMB0507',
    bad: http(`[{${plainRoute}}, {match: [{uri: {prefix: /a}}], ${plainRoute}}]`),
    mend: ['[{route', '[{match: [{uri: {exact: /b}}], route'],
  },
  { code: 'AMB0508', bad: http('[{route: [{destination: {host: crat}}]}]'), mend: ['crat', 'cart'], says: nearCart },
  {
    code: 'AMB0508',
    bad: several(
      destination('{host: cart, subsets: [{name: v1, labels: {app: cart}}, {name: v2, labels: {app: cart}}]}'),
      http('[{route: [{destination: {host: cart, subset: v3}}]}]'),
    ),
    mend: ['v3', 'v2'],
    says: /subset v3 is not in DestinationRule x; it has v1, v2; did you mean v2\?/,
  },
  {
    code: 'AMB0408',
    bad: ruled('[{backendRefs: [{name: cart, port: 81}]}]'),
    mend: ['81', '80'],
    says: /has no port 81; it has 80 \(http\)/,
  },
  {
    code: 'AMB0404',
    bad: ruled('[{backendRefs: [{name: cart, port: 80}]}]').replace('name: cart}', 'name: cart, sectionName: htpt}'),
    mend: ['htpt', 'http'],
    says: /its ports: 80 \(http\); did you mean http\?/,
  },
  {
    code: 'AMB0701',
    bad: several(
      ruled('[{name: read, backendRefs: [{name: cart, port: 80}]}]'),
      traffic(
        '{targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: x, sectionName: raed}], timeouts: {idle: 9s}}',
      ),
    ),
    mend: ['raed', 'read'],
    says: /has no rule named raed; it has read; did you mean read\?/,
  },
  {
    code: 'AMB0509',
    bad: http(
      '[{route: [{destination: {host: cart}, weight: 1, headers: {request: {set: {host: a}}}}, {destination: {host: bare}, weight: 1}]}]',
    ),
    mend: ['set: {host: a}', 'set: {x-a: a}'],
  },
  {
    code: 'AMB0510',
    bad: http(`[{${plainRoute}, retries: {attempts: 2, retryOn: "conect-failure"}}]`),
    mend: ['conect', 'connect'],
    says: /did you mean connect-failure\?/,
  },
  {
    code: 'AMB0601',
    bad: destination('{host: cart, trafficPolicy: {tls: {mode: SIMPLE}}}'),
    mend: [', trafficPolicy: {tls: {mode: SIMPLE}}', ''],
  },
  { code: 'AMB0602', bad: destination('{host: crat}'), mend: ['crat', 'cart'], says: nearCart },
  {
    code: 'AMB0603',
    bad: destination('{host: cart, subsets: [{name: v1, labels: {app: crat}}]}'),
    mend: ['crat', 'cart'],
  },
  {
    code: 'AMB0701',
    bad: traffic('{targetRefs: [{group: "", kind: Service, name: crat}], healthPaths: [/ready]}'),
    mend: ['crat', 'cart'],
  },
  {
    code: 'AMB0702',
    bad: several(
      ruled('[{backendRefs: [{name: cart, port: 80}]}]'),
      traffic('{targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: x}], healthPaths: [/ready]}'),
    ),
    mend: ['group: gateway.networking.k8s.io, kind: HTTPRoute, name: x', 'group: "", kind: Service, name: cart'],
  },
];

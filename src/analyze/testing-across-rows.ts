// The codes of what shows across objects.
import {
  cartCallsPay,
  containers,
  edge,
  http,
  keys,
  meta,
  network,
  one,
  outlier,
  pay,
  payRoute,
  peer,
  plainRoute,
  pod,
  policy,
  portOutlier,
  probedPay,
  type Row,
  ruled,
  service,
  several,
  subsetOutlier,
  tokens,
  traffic,
  virtual,
} from './testing-manifests.ts';

/** What shows across objects. */
export const acrossRows: readonly Row[] = [
  {
    code: 'AMB1001',
    bad: policy('{selector: {matchLabels: {app: crat}}, action: DENY, rules: [{}]}'),
    mend: ['crat', 'cart'],
    says: /did you mean cart/,
  },
  {
    code: 'AMB1002',
    bad: several(
      pod(`{${containers}}`, 'metadata: {name: old, namespace: legacy, labels: {app: old}}'),
      policy(
        '{selector: {matchLabels: {app: old}}, action: DENY, rules: [{}]}',
        'metadata: {name: x, namespace: legacy}',
      ),
    ),
    mend: ['labels: {app: old}', 'labels: {app: old, ambient.mesh/dataplane-mode: ambient}'],
  },
  { code: 'AMB1003', bad: service('{selector: {app: crat}, ports: [{name: http, port: 80}]}'), mend: ['crat', 'cart'] },
  {
    code: 'AMB1004',
    bad: service('{selector: {app: cart}, ports: [{name: http, port: 80, targetPort: wbe}]}'),
    mend: ['wbe', 'web'],
    says: /did you mean web/,
  },
  {
    code: 'AMB1004',
    bad: several(
      pod(
        '{containers: [{name: c, image: i, ports: [{name: metrics, containerPort: 9}]}]}',
        'metadata: {name: m, namespace: shop, labels: {app: m}}',
      ),
      service('{selector: {app: m}, ports: [{name: http, port: 80, targetPort: metrcs}]}'),
    ),
    mend: ['metrcs', 'metrics'],
  },
  {
    code: 'AMB1005',
    bad: service('{selector: {app: cart}, ports: [{port: 90, targetPort: 9000}]}'),
    mend: ['port: 90', 'appProtocol: http, port: 90'],
  },
  {
    code: 'AMB1005',
    bad: service('{selector: {app: cart}, ports: [{name: my-http, port: 90, targetPort: 9000}]}'),
    mend: ['my-http', 'http-my'],
  },
  {
    code: 'AMB1006',
    bad: service('{selector: {app: cart}, ports: [{name: grpc, port: 90, targetPort: web}]}'),
    mend: ['grpc', 'http'],
  },
  {
    code: 'AMB1007',
    bad: '{apiVersion: v1, kind: Namespace, metadata: {name: x, labels: {istio-injection: enabled, ambient.mesh/dataplane-mode: ambient}}}',
    mend: ['istio-injection: enabled, ', ''],
  },
  {
    code: 'AMB1008',
    bad: '{apiVersion: v1, kind: Namespace, metadata: {name: x, labels: {istio.io/dataplane-mode: none, ambient.mesh/dataplane-mode: ambient}}}',
    mend: ['istio.io/dataplane-mode: none, ', ''],
  },
  { code: 'AMB1009', bad: pod(`{hostNetwork: true, ${containers}}`, meta), mend: ['hostNetwork: true, ', ''] },
  {
    code: 'AMB1010',
    bad: policy('{rules: [{from: [{source: {namespaces: [shpo]}}]}]}'),
    mend: ['shpo', 'shop'],
    says: /did you mean shop/,
  },
  {
    code: 'AMB1011',
    bad: policy('{rules: [{from: [{source: {serviceAccounts: [crat]}}]}]}'),
    mend: ['crat', 'cart'],
    says: /did you mean cart/,
  },
  { code: 'AMB1012', bad: policy('{}'), mend: ['spec: {}', 'spec: {rules: [{}]}'] },
  {
    code: 'AMB1013',
    bad: ruled('[{backendRefs: [{name: cart, port: 80}]}]').replace('name: cart}', 'name: bare}'),
    mend: ['name: bare}', 'name: cart}'],
  },
  {
    code: 'AMB1014',
    bad: several(http(`[{${plainRoute}}]`, 'metadata: {name: a, namespace: shop}'), http(`[{${plainRoute}}]`)),
    mend: ['hosts: [cart]', 'hosts: [bare]'],
  },
  {
    code: 'AMB1015',
    bad: http(
      `[{match: [{uri: {prefix: /a}}], ${plainRoute}}, {match: [{uri: {exact: /a/b}, method: {exact: GET}}], ${plainRoute}}]`,
    ),
    mend: ['exact: /a/b', 'exact: /b'],
    says: /rule 1 can never match: rule 0/,
  },
  {
    code: 'AMB1015',
    bad: ruled(
      '[{matches: [{path: {value: /a}}], backendRefs: [{name: cart, port: 80}]}, {matches: [{path: {value: /a}}], backendRefs: [{name: cart, port: 80}]}]',
    ),
    mend: ['value: /a', 'value: /b'],
  },
  {
    code: 'AMB1016',
    bad: policy('{action: DENY, rules: [{}]}').replace('istio.io/v1', 'istio.io/v1beta1'),
    mend: ['v1beta1', 'v1'],
  },
  {
    code: 'AMB1017',
    bad: network(
      '{podSelector: {matchExpressions: [{key: app, operator: In, values: [cart]}]}, ingress: [{ports: [{port: 8080}]}]}',
    ),
    mend: ['{port: 8080}', '{port: 8080}, {port: 15008}'],
  },
  {
    code: 'AMB1018',
    bad: one(
      'apps/v1',
      'Deployment',
      '{template: {}}',
      'metadata: {name: x, namespace: shop, labels: {istio.io/use-waypoints: waypoint}}',
    ),
    mend: [/, labels: \{[^}]*\}/, ''],
    says: /did you mean istio.io\/use-waypoint\?/,
  },
  {
    code: 'AMB1018',
    bad: one(
      'apps/v1',
      'Deployment',
      '{template: {}}',
      'metadata: {name: x, namespace: shop, labels: {ambient.mesh/dataplane-mode: none}}',
    ),
    mend: [/, labels: \{[^}]*\}/, ''],
    says: /put it on spec.template.metadata/,
  },
  {
    code: 'AMB1018',
    bad: service('{selector: {app: cart}, ports: [{name: http, port: 80}]}').replace('use-waypoint:', 'use-waypiont:'),
    mend: ['waypiont:', 'waypoint:'],
  },
  {
    code: 'AMB1019',
    bad: several(pay, cartCallsPay, http(`[{${plainRoute}, timeout: 2s}]`), payRoute('timeout: 5s')),
    mend: ['timeout: 5s', 'timeout: 1s'],
    says: /waits 5s for pay.shop, .* waits 2s/,
  },
  {
    code: 'AMB1019',
    bad: several(pay, http(`[{${plainRoute}, timeout: 2s}]`), payRoute('timeout: 5s')),
    mend: ['timeout: 2s', 'timeout: 9s'],
    edges: [edge('cart', 'pay', 'mtls')],
    says: /as was seen/,
  },
  {
    code: 'AMB1020',
    bad: several(
      pay,
      cartCallsPay,
      http(`[{${plainRoute}, retries: {attempts: 2, retryOn: "5xx"}}]`),
      payRoute('retries: {attempts: 2}'),
    ),
    mend: ['attempts: 2, retryOn', 'attempts: 0, retryOn'],
    says: /tried 9 times at pay.shop: cart.shop is tried 3 times/,
  },
  {
    code: 'AMB1021',
    bad: http(`[{${plainRoute}, timeout: 5s, retries: {attempts: 3, perTryTimeout: 2s}}]`),
    mend: ['timeout: 5s', 'timeout: 8s'],
    says: /4 tries of 2s take up to 8s/,
  },
  {
    code: 'AMB1022',
    bad: several(probedPay(), outlier('consecutive5xxErrors: 5')),
    mend: [/$/, `\n---\n${traffic('{targetRefs: [{group: "", kind: Service, name: pay}], healthPaths: [/ready]}')}`],
    says: /healthPaths: \[\/ready\]/,
  },
  {
    code: 'AMB1022',
    bad: several(probedPay(), subsetOutlier('{outlierDetection: {consecutive5xxErrors: 5}}')),
    mend: [/$/, `\n---\n${traffic('{targetRefs: [{group: "", kind: Service, name: pay}], healthPaths: [/ready]}')}`],
    says: /probe of subset v1 of Service shop\/pay: .*healthPaths: \[\/ready\]/,
  },
  {
    code: 'AMB1022',
    bad: several(probedPay(), portOutlier('consecutive5xxErrors: 5')),
    mend: ['httpGet: {path: /ready, port: 80}', 'httpGet: {path: /ready, port: 81}'],
    says: /probe of port 80 of Service shop\/pay: /,
  },
  {
    code: 'AMB1023',
    bad: several(pay, subsetOutlier('{outlierDetection: {consecutive5xxErrors: 5, maxEjectionPercent: 100}}')),
    mend: ['maxEjectionPercent: 100', 'maxEjectionPercent: 50'],
    says: /all but one of the 3 endpoints of subset v1 of Service shop\/pay/,
  },
  {
    code: 'AMB1023',
    bad: several(
      pay,
      subsetOutlier('{portLevelSettings: [{port: {number: 80}, outlierDetection: {consecutive5xxErrors: 1}}]}'),
    ),
    mend: ['Errors: 1', 'Errors: 5'],
    says: /one failed request takes an endpoint of port 80 of subset v1 of Service shop\/pay out/,
  },
  {
    code: 'AMB1023',
    bad: several(pay, outlier('consecutive5xxErrors: 5, maxEjectionPercent: 100')),
    mend: ['100', '50'],
    says: /all but one of the 3/,
  },
  {
    code: 'AMB1023',
    bad: several(pay.replace('replicas: 3', 'replicas: 1'), outlier('consecutive5xxErrors: 5')),
    mend: ['replicas: 1', 'replicas: 2'],
    says: /one endpoint/,
  },
  {
    code: 'AMB1023',
    bad: several(pay, outlier('consecutive5xxErrors: 1')),
    mend: ['Errors: 1', 'Errors: 5'],
    says: /one failed request/,
  },
  {
    code: 'AMB1024',
    bad: peer('{mtls: {mode: STRICT}}'),
    mend: ['STRICT', 'PERMISSIVE'],
    edges: [edge('old', 'cart', 'plaintext')],
    says: /refuses shop\/old, seen calling shop\/cart in plaintext/,
  },
  {
    code: 'AMB1024',
    bad: several(
      peer('{mtls: {mode: STRICT}}'),
      pod(`{${containers}}`, 'metadata: {name: old, namespace: shop, labels: {ambient.mesh/dataplane-mode: none}}'),
    ),
    mend: ['-mode: none', '-mode: ambient'],
    says: /Pod old of this namespace/,
  },
  {
    code: 'AMB1024',
    bad: several(
      peer('{mtls: {mode: STRICT}}'),
      service('{type: LoadBalancer, selector: {app: cart}, ports: [{name: http, port: 80}]}'),
    ),
    mend: ['LoadBalancer', 'ClusterIP'],
    says: /from outside the cluster by Service shop\/x \(LoadBalancer\)/,
  },
  {
    code: 'AMB1025',
    bad: network(
      '{podSelector: {matchLabels: {app: cart}}, policyTypes: [Egress], egress: [{ports: [{port: 53, protocol: UDP}]}]}',
    ),
    mend: ['[{port: 53', '[{port: 15008}, {port: 53'],
  },
  {
    code: 'AMB1026',
    bad: network(
      '{podSelector: {matchLabels: {gateway.networking.k8s.io/gateway-name: waypoint}}, policyTypes: [Egress], egress: [{ports: [{port: 15008}, {port: 53, protocol: UDP}]}]}',
    ),
    mend: ['{port: 15008}', '{port: 15008}, {port: 15012}'],
    says: /neither routes nor certificates/,
  },
  {
    code: 'AMB1026',
    bad: network('{podSelector: {}, ingress: [{ports: [{port: 15012}]}]}').replace(
      'namespace: shop',
      'namespace: ambient-system',
    ),
    mend: ['{port: 15012}', '{port: 15012}, {port: 15017}'],
    says: /the API server cannot ask/,
  },
  {
    code: 'AMB1027',
    bad: http(
      `[{${plainRoute}, retries: {attempts: 2, retryOn: "5xx"}}]`,
      'metadata: {name: x, namespace: shop, annotations: {ambient.mesh/retry-non-idempotent: "true"}}',
    ),
    mend: ['5xx', 'connect-failure'],
    says: /may be done 3 times/,
  },
  { code: 'AMB1028', bad: http(`[{match: [{uri: {exact: "/a?b=c"}}], ${plainRoute}}]`), mend: ['?b=c', ''] },
  {
    code: 'AMB1028',
    bad: http(`[{match: [{port: 81}], ${plainRoute}}]`),
    mend: ['81', '80'],
    says: /has port 81; they have 80/,
  },
  {
    code: 'AMB1028',
    bad: http(`[{match: [{headers: {x-a: {exact: b}}, withoutHeaders: {x-a: {}}}], ${plainRoute}}]`),
    mend: [', withoutHeaders: {x-a: {}}', ''],
  },
  {
    code: 'AMB1028',
    bad: http(`[{match: [{method: {exact: get}}], ${plainRoute}}]`),
    mend: ['get', 'GET'],
    says: /written in capitals/,
  },
  {
    code: 'AMB1029',
    bad: several(
      service('{selector: {app: cart}, ports: [{name: http-a, port: 81}, {name: http-b, port: 82}]}'),
      http('[{route: [{destination: {host: x}}]}]'),
    ),
    mend: ['{host: x}', '{host: x, port: {number: 81}}'],
  },
  {
    code: 'AMB1030',
    bad: http(`[{match: [{headers: {"@request.auth.claims[sub]": {exact: a}}}], ${plainRoute}}]`),
    mend: [/$/, `\n---\n${tokens(`[{issuer: i, jwks: ${keys}}]`)}`],
  },
  {
    code: 'AMB1031',
    bad: virtual(`{hosts: [cart], gateways: [waypoint, mesh], http: [{${plainRoute}}]}`),
    mend: ['waypoint, ', ''],
  },
  {
    code: 'AMB1032',
    bad: policy('{selector: {matchLabels: {gateway.networking.k8s.io/gateway-name: waypoint}}, rules: [{}]}'),
    mend: [
      /selector: .*waypoint\}\}/,
      'targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: waypoint}]',
    ],
  },
  {
    code: 'AMB1033',
    bad: several(
      '{apiVersion: v1, kind: Namespace, metadata: {name: quiet, labels: {team: a}}}',
      pod(`{${containers}}`, 'metadata: {name: x, namespace: quiet}'),
    ),
    mend: ['team: a', 'ambient.mesh/dataplane-mode: none'],
  },
  {
    code: 'AMB1034',
    bad: several(
      pod(`{serviceAccountName: old, ${containers}}`, 'metadata: {name: old, namespace: legacy, labels: {app: old}}'),
      policy('{rules: [{from: [{source: {serviceAccounts: [legacy/old]}}]}]}'),
    ),
    mend: ['labels: {app: old}', 'labels: {ambient.mesh/dataplane-mode: ambient}'],
    says: /not let in/,
  },
  {
    code: 'AMB1035',
    bad: policy('{targetRef: {group: "", kind: Service, name: cart}, action: DENY, rules: [{}]}'),
    mend: ['targetRef: {group: "", kind: Service, name: cart}', 'targetRefs: [{group: "", kind: Service, name: cart}]'],
    says: /the old field for one target; write it as the one element of targetRefs/,
  },
  {
    code: 'AMB1035',
    bad: tokens(`[{issuer: a, jwks: ${keys}}]`, ', targetRef: {group: "", kind: Service, name: cart}'),
    mend: ['targetRef: {group: "", kind: Service, name: cart}', 'targetRefs: [{group: "", kind: Service, name: cart}]'],
  },
];

// What readers of the L7 kinds refuse, and where they say it stands.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMeshError } from '../base/errors.ts';
import { readManifests } from './manifests.ts';

const versions: Readonly<Record<string, string>> = {
  HTTPRoute: 'gateway.networking.k8s.io/v1',
  GRPCRoute: 'gateway.networking.k8s.io/v1',
  ReferenceGrant: 'gateway.networking.k8s.io/v1beta1',
  VirtualService: 'networking.istio.io/v1',
  DestinationRule: 'networking.istio.io/v1beta1',
  RateLimitPolicy: 'ambient.mesh/v1alpha1',
  TrafficPolicy: 'ambient.mesh/v1alpha1',
};

function read(kind: string, spec: string): unknown {
  const text = `apiVersion: ${versions[kind]}\nkind: ${kind}\nmetadata: {name: x}\nspec: ${spec}\n`;
  return readManifests([{ text, file: 'x.yaml' }]).resources[0];
}

const target = 'targetRefs: [{kind: Service, name: a}]';
const to = 'route: [{destination: {host: a}}]';
const locality = (setting: string): string =>
  `{host: a, trafficPolicy: {loadBalancer: {localityLbSetting: ${setting}}}}`;

const rows: readonly (readonly [kind: string, spec: string, complaint: RegExp])[] = [
  [
    'HTTPRoute',
    '{rules: [{matchs: []}]}',
    /x\.yaml:4:17: spec\.rules\.0\.matchs is no known field; did you mean matches/,
  ],
  ['HTTPRoute', '{rules: [{matches: [{path: {value: foo}}]}]}', /must begin with \/, not be "foo"/],
  ['HTTPRoute', '{rules: [{matches: [{path: {value: /a//b}}]}]}', /must not contain \/\//],
  ['HTTPRoute', '{rules: [{matches: [{path: {value: /a/..}}]}]}', /must not end in/],
  [
    'HTTPRoute',
    '{rules: [{matches: [{path: {type: RegularExpression, value: "/(a"}}]}]}',
    /4:67: .*no regular expression in RE2/,
  ],
  ['HTTPRoute', '{rules: [{matches: [{path: {type: Glob, value: /a}}]}]}', /must be one of Exact, PathPrefix/],
  ['HTTPRoute', '{rules: [{matches: [{method: get}]}]}', /must be one of GET.*did you mean GET|must be one of GET/],
  ['HTTPRoute', '{rules: [{matches: [{headers: [{name: "a b", value: c}]}]}]}', /must be the name of a header/],
  ['HTTPRoute', '{rules: [{backendRefs: [{name: a}]}]}', /port must be there for a Service/],
  ['HTTPRoute', '{rules: [{backendRefs: [{name: a, port: 80, weight: -1}]}]}', /whole number from 0 to 1000000/],
  ['HTTPRoute', '{rules: [{timeouts: {request: 1.5s}}]}', /must be a duration such as 500ms/],
  ['HTTPRoute', '{rules: [{timeouts: {request: 1s, backendRequest: 2s}}]}', /must not be longer than request/],
  ['HTTPRoute', '{rules: [{retry: {codes: [200]}}]}', /statuses from 400 to 599/],
  [
    'HTTPRoute',
    '{rules: [{filters: [{type: URLRewrite, urlRewrite: {}}, {type: RequestRedirect, requestRedirect: {}}]}]}',
    /both RequestRedirect and URLRewrite/,
  ],
  [
    'HTTPRoute',
    '{rules: [{filters: [{type: URLRewrite, urlRewrite: {}}, {type: URLRewrite, urlRewrite: {}}]}]}',
    /must not occur twice/,
  ],
  [
    'HTTPRoute',
    '{rules: [{filters: [{type: RequestRedirect, requestRedirect: {}}], backendRefs: [{name: a, port: 1}]}]}',
    /must not stand beside a RequestRedirect/,
  ],
  [
    'HTTPRoute',
    '{rules: [{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: "b\\r\\nc: d"}]}}]}]}',
    /no line break/,
  ],
  ['HTTPRoute', '{rules: [{name: a}, {name: a}]}', /must not use a name twice/],
  ['GRPCRoute', '{rules: [{matches: [{method: {}}]}]}', /or method must be there/],
  ['GRPCRoute', '{rules: [{matches: [{path: {value: /a}}]}]}', /path is no known field/],
  ['ReferenceGrant', '{from: [{kind: HTTPRoute}]}', /must have the field namespace/],
  ['VirtualService', '{hosts: [a]}', /^$/],
  ['VirtualService', '{http: [{redirect: {}, route: []}]}', /must not stand beside redirect/],
  ['VirtualService', '{hosts: [a], http: [{match: []}]}', /must be there, or redirect, directResponse or delegate/],
  [
    'VirtualService',
    `{hosts: [a], http: [{match: [{uri: {exact: /a, prefix: /b}}], ${to}}]}`,
    /must not stand beside exact/,
  ],
  ['VirtualService', `{hosts: [a], http: [{match: [{uri: {regex: "["}}], ${to}}]}`, /no regular expression/],
  ['VirtualService', `{hosts: [a], http: [{timeouts: 1s, ${to}}]}`, /timeouts is no known field; did you mean timeout/],
  ['VirtualService', `{hosts: [a], http: [{timeout: soon, ${to}}]}`, /must be a duration such as/],
  [
    'VirtualService',
    `{hosts: [a], http: [{fault: {abort: {grpcStatus: NOPE}}, ${to}}]}`,
    /must be one of OK, CANCELLED/,
  ],
  [
    'VirtualService',
    `{hosts: [a], http: [{match: [{headers: {"@request.auth.claims[a": {exact: b}}}], ${to}}]}`,
    /must be written @request/,
  ],
  ['VirtualService', '{http: [{delegate: {name: b}}]}', /must not stand in a VirtualService without hosts/],
  ['DestinationRule', '{}', /must have the field host/],
  ['DestinationRule', '{host: a, trafficPolicy: {outlierDetection: {interval: 1}}}', /must be a string, not 1/],
  [
    'DestinationRule',
    '{host: a, trafficPolicy: {loadBalancer: {consistentHash: {}}}}',
    /must be the one of httpHeaderName/,
  ],
  [
    'DestinationRule',
    '{host: a, trafficPolicy: {loadBalancer: {simple: LEAST}}}',
    /must be one of UNSPECIFIED, LEAST_REQUEST/,
  ],
  ['DestinationRule', locality('{distribute: [{from: a, to: {a/*: 60, b: 30}}]}'), /must add up to 100, not 90/],
  ['DestinationRule', locality('{distribute: [{from: a/*/b, to: {a: 100}}]}'), /must be REGION\/ZONE\/SUBZONE/],
  ['DestinationRule', locality('{failover: [{from: a, to: a}]}'), /must be another region than from/],
  ['DestinationRule', locality('{failover: [{from: a/b, to: c}]}'), /must be a region, without zone/],
  [
    'DestinationRule',
    locality('{distribute: [{from: a, to: {a: 100}}], failover: [{from: a, to: b}]}'),
    /must not stand beside distribute/,
  ],
  ['RateLimitPolicy', `{${target}, limits: []}`, /at least one limit/],
  ['RateLimitPolicy', `{${target}, limits: [{requests: 0}]}`, /whole number from 1/],
  [
    'RateLimitPolicy',
    '{targetRefs: [{kind: Gateway, name: a}], limits: [{requests: 1}]}',
    /must be one of Service, HTTPRoute/,
  ],
  ['TrafficPolicy', `{${target}, healthPaths: [healthz]}`, /must be paths that begin with/],
  ['TrafficPolicy', `{${target}, slowStart: {}}`, /window must be there/],
  ['TrafficPolicy', '{}', /at least one target/],
];
/** What is written into a head as it is may end no line of it. */
const twoLines = '"/a\\r\\nb: c"';
const filter = (type: string, body: string): string => `{rules: [{filters: [{type: ${type}, ${body}}]}]}`;
const heads: readonly (readonly [kind: string, spec: string])[] = [
  ...['uri', 'prefixRewrite', 'authority', 'scheme'].map(
    (field) => ['VirtualService', `{hosts: [a], http: [{redirect: {${field}: ${twoLines}}}]}`] as const,
  ),
  ...['uri', 'authority'].map(
    (field) => ['VirtualService', `{hosts: [a], http: [{rewrite: {${field}: ${twoLines}}, ${to}}]}`] as const,
  ),
  ['VirtualService', `{hosts: [a], http: [{rewrite: {uriRegexRewrite: {match: a, rewrite: ${twoLines}}}, ${to}}]}`],
  ['VirtualService', `{hosts: [a], http: [{corsPolicy: {exposeHeaders: [${twoLines}]}, ${to}}]}`],
  ['HTTPRoute', filter('RequestRedirect', `requestRedirect: {hostname: ${twoLines}}`)],
  [
    'HTTPRoute',
    filter('RequestRedirect', `requestRedirect: {path: {type: ReplaceFullPath, replaceFullPath: ${twoLines}}}`),
  ],
  ['HTTPRoute', filter('URLRewrite', `urlRewrite: {hostname: ${twoLines}}`)],
  ['HTTPRoute', filter('CORS', `cors: {allowMethods: [${twoLines}]}`)],
  ['DestinationRule', `{host: a, trafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: ${twoLines}}}}}}`],
];
for (const [kind, spec] of heads) {
  test(`${kind} ${spec}`, () => assert.throws(() => read(kind, spec), /must be printable ASCII|must be names, or \*/));
}

for (const [kind, spec, complaint] of rows) {
  test(`${kind} ${spec}`, () => {
    let said = '';
    try {
      read(kind, spec);
    } catch (error) {
      assert.ok(isMeshError(error) && error.code === 'CONFIG_INVALID', String(error));
      said = error.message;
      assert.match(said, /^x\.yaml:\d+:\d+: /);
    }
    assert.match(said, complaint);
  });
}

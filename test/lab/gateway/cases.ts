// The mesh tests of Gateway API's conformance suite (1.6), by their names there: the features that each needs beside
// `Mesh`, its routes, its requests and what is expected of them. docs/conformance.md is held to this table.

import {
  answerWith,
  type ConformanceCase,
  header,
  http,
  miss,
  prefix,
  query,
  requestHeaders,
  route,
  to,
  v1,
  v2,
} from './builders.ts';
import { editCases } from './edit-cases.ts';
import { redirectCases } from './redirect-cases.ts';
import { type Ask, consumerSpace, type Expected, meshSpace } from './scene.ts';

const frontend = route('mesh-frontend', [{ filters: [answerWith('set')], backendRefs: [to(v2, 80)] }], {
  service: v2,
  port: null,
});
const withSet = (value: string | null): Expected => ({ 'X-Header-Set': value });
const grpc = { kind: 'GRPCRoute', port: 7070 } as const;
const grpcCase = (value: string, edit: object, backend: string): object => ({
  matches: [header('x-test-case', value)],
  filters: [requestHeaders(edit)],
  backendRefs: [to(backend, 7070)],
});
const grpcAsk = (value: string, backend: string, sent: Readonly<Record<string, string>>, seen: Expected): Ask => ({
  url: 'grpc://echo:7070',
  headers: { 'x-test-case': value, ...sent },
  backend,
  seen: { 'x-test-case': value, ...seen },
});
const split = { 'echo-v1': 0.7, 'echo-v2': 0.3 };

/** All of them. */
export const conformanceCases: readonly ConformanceCase[] = [
  {
    name: 'MeshBasic',
    features: [],
    counts: 'core',
    what: 'a request without any route',
    routes: [],
    asks: [{ url: 'http://echo/' }],
  },
  {
    name: 'MeshHTTPRouteSimpleSameNamespace',
    features: ['HTTPRoute'],
    counts: 'core',
    what: 'one rule, one backend',
    routes: [route('gateway-conformance-mesh-test', [{ backendRefs: [to(v1)] }])],
    asks: [http('/', v1)],
  },
  {
    name: 'MeshHTTPRouteMatching',
    features: ['HTTPRoute'],
    counts: 'core',
    what: 'prefixes of whole segments, headers, either of two matches',
    routes: [
      route('mesh-matching', [
        { matches: [prefix('/'), header('version', 'one')], backendRefs: [to(v1)] },
        { matches: [prefix('/v2'), header('version', 'two')], backendRefs: [to(v2)] },
      ]),
    ],
    asks: [
      http('/', v1),
      http('/example', v1),
      http('/', v1, { Version: 'one' }),
      http('/v2', v2),
      http('/v2/example', v2),
      http('/', v2, { Version: 'two' }),
      http('/v2/', v2),
      http('/v2example', v1),
      http('/foo/v2/example', v1),
    ],
  },
  {
    name: 'MeshHTTPRouteQueryParamMatching',
    features: ['HTTPRoute', 'MeshHTTPRouteQueryParamMatching'],
    counts: 'extended',
    what: 'query parameters, and their rank after path and headers',
    routes: [
      route('mesh-query-param-matching', [
        { matches: [query('whale')], backendRefs: [to(v1)] },
        { matches: [query('dolphin')], backendRefs: [to(v2)] },
        { matches: [{ ...prefix('/path1'), ...query('whale') }], backendRefs: [to(v1)] },
        { matches: [{ ...header('version', 'one'), ...query('whale') }], backendRefs: [to(v2)] },
        {
          matches: [
            { ...prefix('/path3'), ...query('shark') },
            { ...prefix('/path4'), ...header('version', 'three'), ...query('kraken') },
          ],
          backendRefs: [to(v1)],
        },
        { matches: [prefix('/path5')], backendRefs: [to(v1)] },
        { matches: [query('hydra')], backendRefs: [to(v2)] },
      ]),
    ],
    asks: [
      http('/?animal=whale', v1),
      http('/?animal=dolphin', v2),
      http('/?animal=whale&otherparam=irrelevant', v1),
      http('/?animal=dolphin&color=yellow', v2),
      miss('/?color=blue'),
      miss('/?animal=dog'),
      miss('/?animal=whaledolphin'),
      miss('/'),
      http('/path1?animal=whale', v1),
      http('/?animal=whale', v2, { version: 'one' }),
      http('/path3?animal=shark', v1),
      http('/path4?animal=kraken', v1, { version: 'three' }),
      miss('/?animal=shark'),
      miss('/path4?animal=kraken'),
      http('/path5?animal=hydra', v1),
    ],
  },
  ...redirectCases,
  ...editCases,
  {
    name: 'MeshHTTPRouteNamedRule',
    features: ['HTTPRoute', 'MeshHTTPRouteNamedRouteRule'],
    counts: 'extended',
    what: 'rules with a name and without',
    routes: [
      route('mesh-http-named-rules', [
        { name: 'named-rule', matches: [prefix('/named')], backendRefs: [to(v1)] },
        { matches: [prefix('/unnamed')], backendRefs: [to(v2)] },
      ]),
    ],
    asks: [http('/named', v1), http('/unnamed', v2)],
  },
  {
    name: 'MeshHTTPRouteWeight',
    features: ['HTTPRoute'],
    counts: 'core',
    what: 'weights 70 and 30, of 500 requests',
    routes: [
      route('mesh-weighted-backends', [{ backendRefs: [to(v1, 8080, { weight: 70 }), to(v2, 8080, { weight: 30 })] }]),
    ],
    asks: [{ url: 'http://echo/' }],
    weigh: { url: 'http://echo/', shares: split },
  },
  {
    name: 'MeshTrafficSplit',
    features: ['HTTPRoute'],
    counts: 'core',
    what: 'a parent without port, exact paths',
    routes: [
      route(
        'mesh-split',
        [
          { matches: [{ path: { type: 'Exact', value: '/v1' } }], backendRefs: [to(v1, 80)] },
          { matches: [{ path: { type: 'Exact', value: '/v2' } }], backendRefs: [to(v2, 80)] },
        ],
        { port: null },
      ),
    ],
    asks: [http('/v1', v1), http('/v2', v2)],
  },
  {
    name: 'MeshFrontend',
    features: ['HTTPRoute', 'HTTPRouteResponseHeaderModification'],
    counts: null,
    what: 'a route holds for the service, not for its pods asked directly',
    routes: [frontend],
    asks: [
      { url: 'http://echo-v2/', backend: v2, answered: withSet('set') },
      { url: 'http://POD-v2:8080/', backend: v2, answered: withSet(null) },
    ],
  },
  {
    name: 'MeshFrontendHostname',
    features: ['HTTPRoute', 'HTTPRouteResponseHeaderModification', 'MeshClusterIPMatching'],
    counts: null,
    what: 'the address decides, not the header `Host`',
    routes: [frontend],
    asks: [
      { url: 'http://echo-v2/', headers: { Host: v1 }, backend: v2, answered: withSet('set') },
      { url: 'http://echo-v1/', headers: { Host: v2 }, backend: v1, answered: withSet(null) },
    ],
  },
  {
    name: 'MeshPorts',
    features: ['HTTPRoute', 'HTTPRouteParentRefPort', 'HTTPRouteResponseHeaderModification'],
    counts: null,
    what: '`port` of a parent, and a parent of all ports',
    routes: [
      route('mesh-split-v1', [{ filters: [answerWith('v1')], backendRefs: [to(v1, 80)] }], { service: v1 }),
      route('mesh-split-v2', [{ filters: [answerWith('v2')], backendRefs: [to(v2, 80)] }], {
        service: v2,
        port: null,
      }),
    ],
    asks: [
      { url: 'http://echo-v1/', backend: v1, answered: withSet('v1') },
      { url: 'http://echo-v1:8080/', backend: v1, answered: withSet(null) },
      { url: 'http://echo-v2/', backend: v2, answered: withSet('v2') },
      { url: 'http://echo-v2:8080/', backend: v2, answered: withSet('v2') },
    ],
  },
  {
    name: 'MeshConsumerRoute',
    features: ['HTTPRoute', 'HTTPRouteResponseHeaderModification', 'MeshConsumerRoute'],
    counts: null,
    what: 'a route of another namespace holds for the clients there alone',
    routes: [
      route(
        'mesh-echo-add-header',
        [{ filters: [answerWith('set')], backendRefs: [to(v1, 80, { namespace: meshSpace })] }],
        { namespace: consumerSpace, service: v1, port: null },
      ),
    ],
    asks: [
      { url: `http://echo-v1.${meshSpace}/`, from: 'consumer', backend: v1, answered: withSet('set') },
      { url: `http://echo-v1.${meshSpace}/`, backend: v1, answered: withSet(null) },
    ],
  },
  {
    name: 'MeshGRPCRouteRequestHeaderModifier',
    features: ['GRPCRoute'],
    counts: 'core',
    what: 'metadata set, added and removed',
    routes: [
      route(
        'grpc-request-header-modifier',
        [
          grpcCase('set', { set: [{ name: 'x-header-set', value: 'set-overwrites-values' }] }, v1),
          grpcCase('add', { add: [{ name: 'x-header-add', value: 'add-appends-values' }] }, v1),
          grpcCase('remove', { remove: ['x-header-remove'] }, v1),
          grpcCase(
            'multi',
            {
              set: [1, 2].map((n) => ({ name: `x-header-set-${n}`, value: `header-set-${n}` })),
              add: [1, 2].map((n) => ({ name: `x-header-add-${n}`, value: `header-add-${n}` })),
              remove: ['x-header-remove-1', 'x-header-remove-2'],
            },
            v2,
          ),
        ],
        grpc,
      ),
    ],
    asks: [
      grpcAsk(
        'set',
        v1,
        { 'some-other-header': 'this-header-should-be-set', 'x-header-set': 'this-value-should-be-overwritten' },
        { 'some-other-header': 'this-header-should-be-set', 'x-header-set': 'set-overwrites-values' },
      ),
      grpcAsk(
        'add',
        v1,
        { 'x-header-add': 'this-value-should-be-appended' },
        { 'x-header-add': 'this-value-should-be-appended,add-appends-values' },
      ),
      grpcAsk('remove', v1, { 'x-header-remove': 'this-should-be-removed' }, { 'x-header-remove': null }),
      {
        ...grpcAsk(
          'multi',
          v2,
          { 'x-header-set-2': 'set-header-2', 'x-header-add-2': 'add-header-2', 'x-header-remove-2': 'removed' },
          {
            'x-header-set-1': 'header-set-1',
            'x-header-set-2': 'header-set-2',
            'x-header-add-1': 'header-add-1',
            'x-header-add-2': 'add-header-2,header-add-2',
            'x-header-remove-1': null,
            'x-header-remove-2': null,
          },
        ),
        from: 'v2',
      },
    ],
  },
  {
    name: 'MeshGRPCRouteWeight',
    features: ['GRPCRoute'],
    counts: 'core',
    what: 'weights 70, 30 and 0, of 500 calls over one connection; the backend of weight 0 is not there',
    routes: [
      route(
        'mesh-grpc-weighted-backends',
        [
          {
            backendRefs: [
              to(v1, 7070, { weight: 70 }),
              to(v2, 7070, { weight: 30 }),
              to('echo-v3', 7070, { weight: 0 }),
            ],
          },
        ],
        grpc,
      ),
    ],
    asks: [{ url: 'grpc://echo:7070' }],
    weigh: { url: 'grpc://echo:7070', shares: split },
  },
];

// What conditions of routes must say, and what requests meet meanwhile. The suite has no such tests for meshes: these
// are its tests for gateways, with a Service as the parent.
import { http, prefix, route, to, under, v1, v2 } from './builders.ts';
import { type Ask, consumerSpace, meshSpace } from './scene.ts';

/** Objects, and what comes of their first one, a route. */
export interface StatusCase {
  /** Name of the gateway's test that asks for the same, or words. */
  readonly name: string;
  readonly objects: readonly object[];
  /** `Accepted True Accepted` and the like, per parent; those that are not listed may be anything. */
  readonly parents: readonly (readonly string[])[];
  readonly asks: readonly Ask[];
}

const rule = (...backendRefs: readonly object[]): object => ({ backendRefs });
const fails = (path = '/'): Ask => ({ url: `http://echo${path}`, status: 500 });
const untouched: Ask = { url: 'http://echo/', backend: 'echo-' };
const accepted = 'Accepted True Accepted';
const resolved = 'ResolvedRefs True ResolvedRefs';
const noParent = 'Accepted False NoMatchingParent';
const notPermitted = 'ResolvedRefs False RefNotPermitted';

/** A Service elsewhere; its pod is that of the consumers' Deployment. */
const elsewhere = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'elsewhere', namespace: consumerSpace },
  spec: { selector: { app: 'echo' }, ports: [{ name: 'http', port: 8080 }] },
};
const intoElsewhere = to('elsewhere', 8080, { namespace: consumerSpace });

function grant(from: { readonly kind: string; readonly namespace: string }, name?: string): object {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1beta1',
    kind: 'ReferenceGrant',
    metadata: { name: 'grant', namespace: consumerSpace },
    spec: {
      from: [{ group: 'gateway.networking.k8s.io', ...from }],
      to: [{ group: '', kind: 'Service', ...(name === undefined ? {} : { name }) }],
    },
  };
}

const fromHere = { kind: 'HTTPRoute', namespace: meshSpace };
const reference = route('reference', [rule(intoElsewhere)]);
const refused: Pick<StatusCase, 'parents' | 'asks'> = { parents: [[accepted, notPermitted]], asks: [fails()] };

function withParents(name: string, ...parentRefs: readonly object[]): object {
  const parents = parentRefs.map((one) => ({ group: '', kind: 'Service', ...one }));
  const plain = route(name, [rule(to(v1))]) as { readonly spec: object };
  return { ...plain, spec: { ...plain.spec, parentRefs: parents } };
}

/** All of them. */
export const statusCases: readonly StatusCase[] = [
  {
    name: 'HTTPRouteInvalidNonExistentBackendRef',
    objects: [route('missing', [rule(to('nonexistent'))])],
    parents: [[accepted, 'ResolvedRefs False BackendNotFound']],
    asks: [fails()],
  },
  {
    name: 'a port that the backend does not have',
    objects: [route('missing', [rule(to(v1, 8081))])],
    parents: [[accepted, 'ResolvedRefs False BackendNotFound']],
    asks: [fails()],
  },
  {
    name: 'HTTPRouteInvalidBackendRefUnknownKind',
    objects: [route('unknown', [rule({ group: 'unknownkind.example.com', kind: 'NonExistent', name: v1, port: 80 })])],
    parents: [[accepted, 'ResolvedRefs False InvalidKind']],
    asks: [fails()],
  },
  {
    name: 'HTTPRouteNoBackendRefs',
    objects: [route('nowhere', [{ matches: [prefix('/omitted')] }, { ...under('/empty'), backendRefs: [] }])],
    parents: [[accepted, resolved]],
    asks: [fails('/omitted'), fails('/empty')],
  },
  {
    name: 'HTTPRouteCrossNamespace: a mesh needs no ReferenceGrant',
    objects: [reference, elsewhere],
    parents: [[accepted, resolved]],
    asks: [http('/', v1)],
  },
  {
    name: 'HTTPRouteReferenceGrant',
    objects: [reference, elsewhere, grant(fromHere)],
    parents: [[accepted, resolved]],
    asks: [http('/', v1)],
  },
  {
    name: 'HTTPRouteReferenceGrant, by name',
    objects: [reference, elsewhere, grant(fromHere, 'elsewhere')],
    parents: [[accepted, resolved]],
    asks: [http('/', v1)],
  },
  {
    name: 'HTTPRouteInvalidReferenceGrant: another kind',
    objects: [reference, elsewhere, grant({ ...fromHere, kind: 'GRPCRoute' })],
    ...refused,
  },
  {
    name: 'HTTPRouteInvalidReferenceGrant: another namespace',
    objects: [reference, elsewhere, grant({ ...fromHere, namespace: 'default' })],
    ...refused,
  },
  {
    name: 'HTTPRouteInvalidReferenceGrant: another Service',
    objects: [reference, elsewhere, grant(fromHere, 'not-this-one')],
    ...refused,
  },
  {
    name: 'HTTPRoutePartiallyInvalidViaInvalidReferenceGrant',
    objects: [
      route('partly', [
        { ...under('/v2'), backendRefs: [intoElsewhere] },
        { ...under('/'), backendRefs: [to(v1)] },
      ]),
      elsewhere,
      grant(fromHere, 'not-this-one'),
    ],
    parents: [[accepted, notPermitted]],
    asks: [fails('/v2'), http('/', v1)],
  },
  {
    name: 'HTTPRouteInvalidParentRefNotMatchingListenerPort',
    objects: [withParents('port', { name: 'echo', port: 81 })],
    parents: [[noParent, resolved]],
    asks: [untouched],
  },
  {
    name: 'HTTPRouteInvalidParentRefNotMatchingSectionName',
    objects: [withParents('section', { name: 'echo', sectionName: 'none' })],
    parents: [[noParent, resolved]],
    asks: [untouched],
  },
  {
    name: 'HTTPRouteInvalidParentRefSectionNameNotMatchingPort',
    objects: [withParents('both', { name: 'echo', sectionName: 'http', port: 8080 })],
    parents: [[noParent, resolved]],
    asks: [untouched],
  },
  {
    name: 'a parent that is not there, beside one that is',
    objects: [withParents('two', { name: 'none', port: 80 }, { name: 'echo', port: 80 })],
    parents: [
      [noParent, resolved],
      [accepted, resolved, 'Programmed True Programmed'],
    ],
    asks: [http('/', v1)],
  },
  {
    name: 'an HTTPRoute where a GRPCRoute is',
    objects: [
      route('lost', [rule(to(v2, 7070))], { port: 7070 }),
      route('won', [rule(to(v1, 7070))], { kind: 'GRPCRoute', port: 7070 }),
    ],
    parents: [['Accepted False Conflicted', resolved]],
    asks: [{ url: 'grpc://echo:7070', backend: v1 }],
  },
];

/** Routes with what is not supported: refused by `lab apply` in these words, and not accepted in a cluster. */
export const unsupportedCases: readonly { readonly name: string; readonly route: object; readonly message: string }[] =
  [
    {
      name: 'the filter ExternalAuth',
      route: route('unsupported', [
        {
          filters: [{ type: 'ExternalAuth', externalAuth: { protocol: 'HTTP', backendRef: { name: v1, port: 80 } } }],
          backendRefs: [to(v1)],
        },
      ]),
      message: 'the filter ExternalAuth is not supported for HTTPRoute',
    },
    {
      name: 'sessionPersistence',
      route: route('unsupported', [{ ...rule(to(v1)), sessionPersistence: { sessionName: 'session' } }]),
      message: 'sessionPersistence is not supported; use the consistentHash of a DestinationRule',
    },
  ];

// Cases of RequestHeaderModifier and URLRewrite. Beyond the suite, the path that the backend sees is compared.
import {
  type ConformanceCase,
  http,
  prefix,
  replaceFull,
  replacePrefix,
  requestHeaders,
  rewrite,
  route,
  to,
  under,
  v1,
} from './builders.ts';
import type { Ask } from './scene.ts';

/** Path, header edits; the requests with what the backend sees of them. */
const edits = {
  '/set': { set: [{ name: 'X-Header-Set', value: 'set-overwrites-values' }] },
  '/add': { add: [{ name: 'X-Header-Add', value: 'add-appends-values' }] },
  '/remove': { remove: ['X-Header-Remove'] },
  '/multiple': {
    set: [1, 2].map((n) => ({ name: `X-Header-Set-${n}`, value: `header-set-${n}` })),
    add: [1, 2, 3].map((n) => ({ name: `X-Header-Add-${n}`, value: `header-add-${n}` })),
    remove: ['X-Header-Remove-1', 'X-Header-Remove-2'],
  },
  '/case-insensitivity': {
    set: [{ name: 'X-Header-Set', value: 'header-set' }],
    add: [{ name: 'X-Header-Add', value: 'header-add' }],
    remove: ['X-Header-Remove'],
  },
} as const;
const other = { 'Some-Other-Header': 'val' };
const another = { 'Another-Header': 'another-header-val' };
const overwritten = { ...other, 'X-Header-Set': 'set-overwrites-values' };
const edited: readonly Ask[] = [
  { ...http('/set', v1, other), seen: overwritten },
  { ...http('/set', v1, { ...other, 'X-Header-Set': 'some-other-value' }), seen: overwritten },
  { ...http('/add', v1, other), seen: { ...other, 'X-Header-Add': 'add-appends-values' } },
  {
    ...http('/add', v1, { ...other, 'X-Header-Add': 'some-other-value' }),
    seen: { ...other, 'X-Header-Add': 'some-other-value,add-appends-values' },
  },
  { ...http('/remove', v1, { 'X-Header-Remove': 'val' }), seen: { 'X-Header-Remove': null } },
  {
    ...http('/multiple', v1, {
      'X-Header-Set-2': 'set-val-2',
      'X-Header-Add-2': 'add-val-2',
      'X-Header-Remove-2': 'remove-val-2',
      ...another,
    }),
    seen: {
      'X-Header-Set-1': 'header-set-1',
      'X-Header-Set-2': 'header-set-2',
      'X-Header-Add-1': 'header-add-1',
      'X-Header-Add-2': 'add-val-2,header-add-2',
      'X-Header-Add-3': 'header-add-3',
      'X-Header-Remove-1': null,
      'X-Header-Remove-2': null,
      ...another,
    },
  },
  {
    ...http('/case-insensitivity', v1, {
      'x-header-set': 'original-val-set',
      'x-header-add': 'original-val-add',
      'x-header-remove': 'original-val-remove',
      ...another,
    }),
    seen: {
      'X-Header-Set': 'header-set',
      'X-Header-Add': 'original-val-add,header-add',
      'x-header-remove': null,
      ...another,
    },
  },
];

const rewriteEdits = requestHeaders({
  set: [{ name: 'X-Header-Set', value: 'set-overwrites-values' }],
  add: [
    { name: 'X-Header-Add', value: 'header-val-1' },
    { name: 'X-Header-Add-Append', value: 'header-val-2' },
  ],
  remove: ['X-Header-Remove'],
});
const rewriteSent = {
  'X-Header-Remove': 'remove-val',
  'X-Header-Add-Append': 'append-val-1',
  'X-Header-Set': 'set-val',
};
const rewriteSeen = {
  'X-Header-Add': 'header-val-1',
  'X-Header-Add-Append': 'append-val-1,header-val-2',
  'X-Header-Set': 'set-overwrites-values',
  'X-Header-Remove': null,
};

/** In the order of the suite. */
export const editCases: readonly ConformanceCase[] = [
  {
    name: 'MeshHTTPRouteRequestHeaderModifier',
    features: ['HTTPRoute'],
    counts: 'core',
    what: 'request headers set, added and removed by a rule',
    routes: [
      route(
        'mesh-request-header-modifier',
        Object.entries(edits).map(([start, edit]) => ({
          ...under(start, requestHeaders(edit)),
          backendRefs: [to(v1)],
        })),
      ),
    ],
    asks: edited,
  },
  {
    name: 'MeshHTTPRouteBackendRequestHeaderModifier',
    features: ['HTTPRoute', 'MeshHTTPRouteBackendRequestHeaderModification'],
    counts: 'extended',
    what: 'the same for a single backend',
    routes: [
      route(
        'mesh-request-header-modifier',
        Object.entries(edits).map(([start, edit]) => ({
          matches: [prefix(start)],
          backendRefs: [to(v1, 8080, { filters: [requestHeaders(edit)] })],
        })),
      ),
    ],
    asks: edited,
  },
  {
    name: 'MeshHTTPRouteRewritePath',
    features: ['HTTPRoute', 'MeshHTTPRouteRewritePath'],
    counts: 'extended',
    what: 'paths and prefixes rewritten, with header edits',
    routes: [
      route('mesh-rewrite-path', [
        { ...under('/prefix/one', rewrite(replacePrefix('/one'))), backendRefs: [to(v1, 80)] },
        { ...under('/strip-prefix', rewrite(replacePrefix('/'))), backendRefs: [to(v1, 80)] },
        { ...under('/full/one', rewrite(replaceFull('/one'))), backendRefs: [to(v1, 80)] },
        {
          ...under('/full/rewrite-path-and-modify-headers', rewrite(replaceFull('/test')), rewriteEdits),
          backendRefs: [to(v1, 80)],
        },
        {
          ...under('/prefix/rewrite-path-and-modify-headers', rewrite(replacePrefix('/prefix')), rewriteEdits),
          backendRefs: [to(v1, 80)],
        },
      ]),
    ],
    asks: [
      { ...http('/prefix/one/two', v1), path: '/one/two' },
      { ...http('/strip-prefix/three', v1), path: '/three' },
      { ...http('/strip-prefix', v1), path: '/' },
      { ...http('/full/one/two', v1), path: '/one' },
      { ...http('/full/rewrite-path-and-modify-headers/test', v1, rewriteSent), path: '/test', seen: rewriteSeen },
      {
        ...http('/prefix/rewrite-path-and-modify-headers/one', v1, rewriteSent),
        path: '/prefix/one',
        seen: rewriteSeen,
      },
    ],
  },
];

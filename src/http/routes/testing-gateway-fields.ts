// For tests: what becomes of every field of HTTPRoute and GRPCRoute; as `testing-fields.ts`.
import { type FieldRow, type Fields, placed } from './testing-fields.ts';

const parentRows: readonly FieldRow[] = [
  ['hostnames[]', 'meaningless', 'a.example'],
  ['parentRefs[].group', 'obeyed', 'x.io'],
  ['parentRefs[].kind', 'obeyed', 'Gateway'],
  ['parentRefs[].name', 'obeyed', 'v2'],
  ['parentRefs[].namespace', 'obeyed', 'other'],
  ['parentRefs[].port', 'obeyed', 80],
  ['parentRefs[].sectionName', 'obeyed', 'http'],
  ['rules[].name', 'obeyed', 'named'],
  ['rules[].sessionPersistence.absoluteTimeout', 'refused', '1h'],
  ['rules[].sessionPersistence.cookie.lifetimeType', 'refused', 'Session'],
  ['rules[].sessionPersistence.cookie.name', 'refused', 'c'],
  ['rules[].sessionPersistence.cookie.path', 'refused', '/'],
  ['rules[].sessionPersistence.header.name', 'refused', 'h'],
  ['rules[].sessionPersistence.type', 'refused', 'Cookie'],
  ['useDefaultGateways', 'meaningless', 'All'],
];

const backendRows = (at: string, beside: Fields = {}): FieldRow[] => [
  [`${at}group`, 'obeyed', 'x.io', beside],
  [`${at}kind`, 'obeyed', 'Bucket', beside],
  [`${at}name`, 'obeyed', 'v2', beside],
  [`${at}namespace`, 'obeyed', 'other', beside],
  [`${at}port`, 'obeyed', 8080, beside],
];

const header = [{ name: 'x-a', value: 'b' }];
const modifier = (type: string, body: string): FieldRow[] =>
  ['add', 'set'].flatMap((verb): FieldRow[] => {
    const at = `${body}.${verb}[]`;
    const beside = { type, [`${body}.${verb}`]: header };
    return [
      [`${at}.name`, 'obeyed', 'x-other', beside],
      [`${at}.value`, 'obeyed', 'other', beside],
    ];
  });

/** What filters of both kinds have. */
const commonFilterRows: readonly FieldRow[] = [
  ['extensionRef.group', 'refused', 'x.io', { type: 'ExtensionRef', extensionRef: { kind: 'K', name: 'n' } }],
  ['extensionRef.kind', 'refused', 'K', { type: 'ExtensionRef', extensionRef: { group: 'x.io', name: 'n' } }],
  ['extensionRef.name', 'refused', 'n', { type: 'ExtensionRef', extensionRef: { group: 'x.io', kind: 'K' } }],
  ...modifier('RequestHeaderModifier', 'requestHeaderModifier'),
  ['requestHeaderModifier.remove[]', 'obeyed', 'x-a', { type: 'RequestHeaderModifier' }],
  ...modifier('ResponseHeaderModifier', 'responseHeaderModifier'),
  ['responseHeaderModifier.remove[]', 'obeyed', 'x-a', { type: 'ResponseHeaderModifier' }],
  ...backendRows('requestMirror.backendRef.', {
    type: 'RequestMirror',
    requestMirror: { backendRef: { name: 'v1', port: 80 } },
  }),
  ...(
    [
      ['percent', 50],
      ['fraction.numerator', 5],
    ] as const
  ).map(
    ([field, value]): FieldRow => [
      `requestMirror.${field}`,
      'obeyed',
      value,
      { type: 'RequestMirror', requestMirror: { backendRef: { name: 'v1', port: 80 } } },
    ],
  ),
  [
    'requestMirror.fraction.denominator',
    'obeyed',
    50,
    { type: 'RequestMirror', requestMirror: { backendRef: { name: 'v1', port: 80 }, fraction: { numerator: 5 } } },
  ],
  ['type', 'obeyed', 'RequestHeaderModifier', { requestHeaderModifier: { remove: ['x-a'] } }],
];

const corsBeside: Fields = { type: 'CORS', cors: { allowOrigins: ['https://a.example'] } };
const rewritten: Fields = { type: 'URLRewrite' };

/** What HTTPRoute's filters have beyond those; `noBackends` where a redirect leaves no place for any. */
const httpFilterRows = (noBackends: Fields): FieldRow[] => {
  const redirected: Fields = { ...noBackends, type: 'RequestRedirect' };
  const external: Fields = { type: 'ExternalAuth' };
  return [
    ['cors.allowCredentials', 'obeyed', true, corsBeside],
    ['cors.allowHeaders[]', 'obeyed', 'x-a', corsBeside],
    ['cors.allowMethods[]', 'obeyed', 'GET', corsBeside],
    ['cors.allowOrigins[]', 'obeyed', 'https://b.example', corsBeside],
    ['cors.exposeHeaders[]', 'obeyed', 'x-a', corsBeside],
    ['cors.maxAge', 'obeyed', 7, corsBeside],
    ...backendRows('externalAuth.backendRef.', external).map(refused),
    ['externalAuth.forwardBody.maxSize', 'refused', 5, external],
    ['externalAuth.grpc.allowedHeaders[]', 'refused', 'x-a', external],
    ['externalAuth.http.allowedHeaders[]', 'refused', 'x-a', external],
    ['externalAuth.http.allowedResponseHeaders[]', 'refused', 'x-a', external],
    ['externalAuth.http.path', 'refused', '/a', external],
    ['externalAuth.protocol', 'refused', 'HTTP', external],
    ['requestRedirect.hostname', 'obeyed', 'a.example', redirected],
    [
      'requestRedirect.path.replaceFullPath',
      'obeyed',
      '/x',
      { ...redirected, 'requestRedirect.path.type': 'ReplaceFullPath' },
    ],
    [
      'requestRedirect.path.replacePrefixMatch',
      'obeyed',
      '/x',
      { ...redirected, 'requestRedirect.path.type': 'ReplacePrefixMatch' },
    ],
    [
      'requestRedirect.path.type',
      'obeyed',
      'ReplaceFullPath',
      { ...redirected, 'requestRedirect.path.replaceFullPath': '/x' },
    ],
    ['requestRedirect.port', 'obeyed', 8443, redirected],
    ['requestRedirect.scheme', 'obeyed', 'https', redirected],
    ['requestRedirect.statusCode', 'obeyed', 308, redirected],
    ['urlRewrite.hostname', 'obeyed', 'a.example', rewritten],
    ['urlRewrite.path.replaceFullPath', 'obeyed', '/x', { ...rewritten, 'urlRewrite.path.type': 'ReplaceFullPath' }],
    [
      'urlRewrite.path.replacePrefixMatch',
      'obeyed',
      '/x',
      { ...rewritten, 'urlRewrite.path.type': 'ReplacePrefixMatch' },
    ],
    ['urlRewrite.path.type', 'obeyed', 'ReplaceFullPath', { ...rewritten, 'urlRewrite.path.replaceFullPath': '/x' }],
  ];
};

function refused([path, , value, beside = {}]: FieldRow): FieldRow {
  return [path, 'refused', value, beside];
}

/** Filters of rules, and those of single backends. */
const filterRows = (rows: readonly FieldRow[]): FieldRow[] => [
  ...placed(rows, 'rules[].filters[].'),
  ...placed(rows, 'rules[].backendRefs[].filters[].'),
];

const named = { name: 'x-a', value: 'b' };

/** HTTPRoute; the rule of the base leads to `v1`. */
export const httpRouteRows: readonly FieldRow[] = [
  ...parentRows,
  ...backendRows('rules[].backendRefs[].'),
  ['rules[].backendRefs[].weight', 'obeyed', 7],
  ...filterRows(commonFilterRows),
  ...placed(httpFilterRows({}), 'rules[].backendRefs[].filters[].'),
  ...placed(httpFilterRows({}), 'rules[].filters[].').map(
    ([path, verdict, value, beside = {}]): FieldRow => [
      path,
      verdict,
      value,
      path.includes('requestRedirect') ? { ...beside, 'rules[].backendRefs': undefined } : beside,
    ],
  ),
  ['rules[].matches[].headers[].name', 'obeyed', 'x-other', { 'rules[].matches[].headers': [named] }],
  ['rules[].matches[].headers[].type', 'obeyed', 'RegularExpression', { 'rules[].matches[].headers': [named] }],
  ['rules[].matches[].headers[].value', 'obeyed', 'other', { 'rules[].matches[].headers': [named] }],
  ['rules[].matches[].method', 'obeyed', 'GET'],
  ['rules[].matches[].path.type', 'obeyed', 'Exact', { 'rules[].matches[].path.value': '/a' }],
  ['rules[].matches[].path.value', 'obeyed', '/b'],
  ['rules[].matches[].queryParams[].name', 'obeyed', 'other', { 'rules[].matches[].queryParams': [named] }],
  ['rules[].matches[].queryParams[].type', 'obeyed', 'RegularExpression', { 'rules[].matches[].queryParams': [named] }],
  ['rules[].matches[].queryParams[].value', 'obeyed', 'other', { 'rules[].matches[].queryParams': [named] }],
  ['rules[].retry.attempts', 'obeyed', 7],
  ['rules[].retry.backoff', 'obeyed', '1s', { 'rules[].retry.attempts': 3 }],
  ['rules[].retry.codes[]', 'obeyed', 503, { 'rules[].retry.attempts': 3, 'rules[].matches[].method': 'GET' }],
  ['rules[].timeouts.backendRequest', 'obeyed', '1s'],
  ['rules[].timeouts.request', 'obeyed', '1s'],
];

/** GRPCRoute; as HTTPRoute. */
export const grpcRouteRows: readonly FieldRow[] = [
  ...parentRows,
  ...backendRows('rules[].backendRefs[].'),
  ['rules[].backendRefs[].weight', 'obeyed', 7],
  ...filterRows(commonFilterRows),
  ['rules[].matches[].headers[].name', 'obeyed', 'x-other', { 'rules[].matches[].headers': [named] }],
  ['rules[].matches[].headers[].type', 'obeyed', 'RegularExpression', { 'rules[].matches[].headers': [named] }],
  ['rules[].matches[].headers[].value', 'obeyed', 'other', { 'rules[].matches[].headers': [named] }],
  ['rules[].matches[].method.method', 'obeyed', 'Get'],
  ['rules[].matches[].method.service', 'obeyed', 'a.B'],
  ['rules[].matches[].method.type', 'obeyed', 'RegularExpression', { 'rules[].matches[].method.service': 'a.B' }],
];

// Every field that the custom resource definitions have is obeyed, or refused by name: none is silently ignored.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { isMeshError } from '../../base/errors.ts';
import {
  destinationRuleRows,
  type FieldRow,
  type Fields,
  referenceGrantRows,
  virtualServiceRows,
} from './testing-fields.ts';
import { grpcRouteRows, httpRouteRows } from './testing-gateway-fields.ts';
import { type CompiledRoutes, compileRouteText, serviceText } from './testing-routes.ts';

const folder = path.join(import.meta.dirname, '../../../test/fixtures/routes/fields');

/** Parts of paths that many messages have in them without naming the field. */
const structure = ['', '*', 'http', 'tcp', 'rules', 'match', 'matches', 'route', 'from', 'to', 'host', 'port'];

type Mapping = Record<string, unknown>;

interface Kind {
  readonly kind: string;
  readonly apiVersion: string;
  readonly spec: Mapping;
  readonly rows: readonly FieldRow[];
  /** Other objects, as manifests. */
  readonly others?: string;
  readonly namespace?: string;
}

const istio = 'networking.istio.io/v1';
const gateway = 'gateway.networking.k8s.io/v1';
const parentRefs = [{ group: '', kind: 'Service', name: 'echo' }];
const services = ['echo', 'v1', 'v2', 'v1.other', 'echo.other']
  .map((title) => serviceText(title, ['80/http', '8080/http-alt']))
  .join('');
const ruleOfV1 = manifest('DestinationRule', istio, {
  host: 'v1',
  subsets: [{ name: 's', labels: { version: 'v1' } }],
});
const child = (host: string, namespace: string): string =>
  manifest('VirtualService', istio, { http: [{ route: [{ destination: { host } }] }] }, 'child', namespace);
const acrossRoute = manifest('HTTPRoute', gateway, {
  parentRefs,
  rules: [{ backendRefs: [{ name: 'v1', namespace: 'other', port: 80 }] }],
});
const routeSpec = { parentRefs, rules: [{ backendRefs: [{ name: 'v1', port: 80 }] }] };

const kinds: readonly Kind[] = [
  {
    kind: 'VirtualService',
    apiVersion: istio,
    spec: { hosts: ['echo'], http: [{ route: [{ destination: { host: 'v1' } }] }] },
    rows: virtualServiceRows,
    others: ruleOfV1 + child('v1', 'default') + child('v1.other', 'other'),
  },
  {
    kind: 'DestinationRule',
    apiVersion: istio,
    spec: { host: 'echo', subsets: [{ name: 's', labels: { version: 'v1' } }] },
    rows: destinationRuleRows,
  },
  { kind: 'HTTPRoute', apiVersion: gateway, spec: routeSpec, rows: httpRouteRows },
  { kind: 'GRPCRoute', apiVersion: gateway, spec: routeSpec, rows: grpcRouteRows },
  {
    kind: 'ReferenceGrant',
    apiVersion: gateway,
    spec: {
      from: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: 'default' }],
      to: [{ group: '', kind: 'Service' }],
    },
    rows: referenceGrantRows,
    others: acrossRoute,
    namespace: 'other',
  },
];

for (const one of kinds) {
  test(`${one.kind}: every field of its definition has a row`, () => {
    const lines = readFileSync(path.join(folder, `${one.kind}.txt`), 'utf8').split('\n');
    const defined = lines.filter((line) => line !== '' && !line.startsWith('#'));
    assert.deepEqual(one.rows.map(([field]) => field).sort(), defined.sort());
  });

  test(`${one.kind}: every field is obeyed, or refused by name`, () => {
    const plain = compile(one, null);
    for (const row of one.rows) check(one, row, plain);
  });
}

function check(one: Kind, [field, verdict, value, beside = {}]: FieldRow, plain: CompiledRoutes): void {
  const title = `${one.kind} ${field}`;
  const before = withFields(one.spec, beside);
  const written = compile(one, withFields(before, { [field]: value }));
  const about = written.issues.filter(({ kind, message, severity }) => {
    const isNamed = field.split(/[.[\]]+/).some((part) => !structure.includes(part) && names(message, part));
    return kind === one.kind && isNamed && (severity === 'info') === (verdict === 'meaningless');
  });
  const said = written.issues.map((issue) => issue.message).join('\n');
  if (verdict !== 'obeyed') {
    assert.ok(about.length > 0, `${title} is not named: ${said}`);
    return;
  }
  assert.doesNotMatch(said, /not supported/, title);
  // Without a field that has to be there, the object is refused, and nothing of it is done.
  const without = tryCompile(one, before) ?? plain;
  assert.notDeepEqual(outcome(written), outcome(without), `${title} changes nothing`);
}

/** True when a message has the name of a field in it; a filter is called by its type. */
function names(message: string, field: string): boolean {
  return new RegExp(`\\b${field}\\b`, 'i').test(message);
}

function outcome(compiled: CompiledRoutes): unknown {
  return JSON.parse(JSON.stringify(compiled.compiler.mesh().routes, (key, value) => (key === 'place' ? null : value)));
}

function tryCompile(one: Kind, spec: Mapping): CompiledRoutes | null {
  try {
    return compile(one, spec);
  } catch (error) {
    if (isMeshError(error)) return null;
    throw error;
  }
}

function compile(one: Kind, spec: Mapping | null): CompiledRoutes {
  const { kind, apiVersion, namespace = 'default', others = '' } = one;
  const own = spec === null ? '' : manifest(kind, apiVersion, spec, 'tested', namespace);
  return compileRouteText(services + others + own);
}

function manifest(
  kind: string,
  apiVersion: string,
  spec: Mapping,
  name = kind.toLowerCase(),
  namespace = 'default',
): string {
  return `---\n${JSON.stringify({ apiVersion, kind, metadata: { name, namespace }, spec })}\n`;
}

/** A copy of `spec` with values at paths. */
function withFields(spec: Mapping, fields: Fields): Mapping {
  const copy = structuredClone(spec);
  for (const [field, value] of Object.entries(fields)) put(copy, field.split('.'), value);
  return copy;
}

function put(object: Mapping, [first = '', ...rest]: readonly string[], value: unknown): void {
  const isList = first.endsWith('[]');
  const key = first === '*' ? 'version' : first.replace('[]', '');
  if (rest.length === 0) {
    if (value === undefined) delete object[key];
    else object[key] = isList ? [value] : structuredClone(value);
    return;
  }
  object[key] ??= isList ? [{}] : {};
  const next = isList ? (object[key] as Mapping[])[0]! : (object[key] as Mapping);
  put(next, rest, value);
}

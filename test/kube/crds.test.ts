// The definitions under deploy/crds: they have exactly the fields that our readers read, and take and refuse what these
// do. CEL rules are judged by a real API server alone.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { ApiClient } from '../../src/kube/api/api-client.ts';
import { failureOf } from '../../src/kube/api/api-error.ts';
import { watchedKinds } from '../../src/kube/api/kinds.ts';
import type { KubeObject } from '../../src/kube/api/prune.ts';
import { readKubeObject } from '../../src/kube/kube-object.ts';
import { ApiServer } from '../../src/lab/api-server/api-server.ts';
import { pruned, type Schema, schemaFaults } from '../../src/lab/api-server/structural-schema.ts';

type Json = Record<string, unknown>;

interface Definition extends KubeObject {
  readonly spec: {
    readonly names: { readonly kind: string; readonly plural: string; readonly shortNames: readonly string[] };
    readonly versions: readonly { readonly schema: { readonly openAPIV3Schema: Schema } }[];
  };
}

const folder = path.join(import.meta.dirname, '../../deploy/crds');
const definitions = readdirSync(folder).map(
  (file) => parse(readFileSync(path.join(folder, file), 'utf8')) as Definition,
);
const route = { group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name: 'pay', sectionName: 'first' };
const service = { group: '', kind: 'Service', name: 'pay' };

/** Every field, at least once. */
const samples: Readonly<Record<string, readonly Json[]>> = {
  RateLimitPolicy: [
    { targetRefs: [route, service], limits: [{ requests: 5, per: 'Minute', burst: 9, by: [{ type: 'Identity' }] }] },
    {
      targetRefs: [{ kind: 'GRPCRoute', name: 'g' }],
      limits: [{ requests: 1, by: [{ type: 'Header', name: 'x-u' }] }],
    },
  ],
  TrafficPolicy: [
    {
      targetRefs: [service],
      retryBudget: { percent: 12.5, perSecond: 0.5, minConcurrency: 2 },
      retries: { nonIdempotent: true, evenIfRetried: false },
      healthPaths: ['/healthz'],
      adaptiveConcurrency: { minLimit: 3, maxLimit: 30 },
      slowStart: { window: '1m30s', minPercent: 10, aggression: 1.5 },
      timeouts: { idle: '1.5s', maxStream: '0' },
    },
    { targetRefs: [{ kind: 'VirtualService', name: 'v', sectionName: 'r' }], timeouts: {} },
    { targetRefs: [route], retries: {} },
  ],
  CertificateRevocation: [
    {
      serials: ['4f1d', '0xAB:cd:01'],
      identities: [{ identity: 'spiffe://cluster.local/ns/shop/sa/web', issuedBefore: '2026-11-21T12:00:00.5+01:00' }],
    },
    {},
  ],
};

/** Refused by the readers, and by the schema or its rules in CEL. */
const refused: readonly (readonly [kind: string, spec: Json, judge: 'schema' | 'cel'])[] = [
  ['RateLimitPolicy', { targetRefs: [service], limits: [] }, 'schema'],
  ['RateLimitPolicy', { targetRefs: [], limits: [{ requests: 1 }] }, 'schema'],
  ['RateLimitPolicy', { limits: [{ requests: 1 }] }, 'schema'],
  ['RateLimitPolicy', { targetRefs: [service], limits: [{ requests: 0 }] }, 'schema'],
  ['RateLimitPolicy', { targetRefs: [service], limits: [{}] }, 'schema'],
  ['RateLimitPolicy', { targetRefs: [service], limits: Array(17).fill({ requests: 1 }) }, 'schema'],
  ['RateLimitPolicy', { targetRefs: [service], limits: [{ requests: 1, per: 'Week' }] }, 'schema'],
  [
    'RateLimitPolicy',
    { targetRefs: [service], limits: [{ requests: 1, by: [{ type: 'Header', name: 'a b' }] }] },
    'schema',
  ],
  ['RateLimitPolicy', { targetRefs: [service], limits: [{ requests: 1, by: [{ type: 'Header' }] }] }, 'cel'],
  [
    'RateLimitPolicy',
    { targetRefs: [service], limits: [{ requests: 1, by: [{ type: 'Identity', name: 'x' }] }] },
    'cel',
  ],
  ['TrafficPolicy', { targetRefs: [{ ...service, name: 'Pay' }] }, 'schema'],
  ['TrafficPolicy', { targetRefs: [{ ...service, kind: 'Pod' }] }, 'schema'],
  ['TrafficPolicy', { targetRefs: [{ ...service, group: 'apps' }] }, 'cel'],
  ['TrafficPolicy', { targetRefs: [{ ...route, group: '' }] }, 'cel'],
  ['TrafficPolicy', { targetRefs: [{ ...service, sectionName: 'r' }] }, 'cel'],
  ['TrafficPolicy', { targetRefs: [service], retryBudget: { percent: 101 } }, 'schema'],
  ['TrafficPolicy', { targetRefs: [service], retryBudget: { minConcurrency: 1.5 } }, 'schema'],
  ['TrafficPolicy', { targetRefs: [service], retries: { nonIdempotent: 'yes' } }, 'schema'],
  ['TrafficPolicy', { targetRefs: [service], healthPaths: ['healthz'] }, 'schema'],
  ['TrafficPolicy', { targetRefs: [service], adaptiveConcurrency: { minLimit: 9, maxLimit: 3 } }, 'cel'],
  ['TrafficPolicy', { targetRefs: [service], adaptiveConcurrency: { minLimit: 1001 } }, 'cel'],
  ['TrafficPolicy', { targetRefs: [service], slowStart: {} }, 'schema'],
  ['TrafficPolicy', { targetRefs: [service], slowStart: { window: 'soon' } }, 'schema'],
  ['TrafficPolicy', { targetRefs: [service], slowStart: { window: '1s', aggression: 0 } }, 'schema'],
  ['TrafficPolicy', { targetRefs: [service], timeouts: { idle: 5 } }, 'schema'],
  ['CertificateRevocation', { serials: ['xyz'] }, 'schema'],
  ['CertificateRevocation', { identities: [{ identity: 'spiffe://a/ns/b/sa/c' }] }, 'schema'],
  ['CertificateRevocation', { identities: [{ identity: 'web', issuedBefore: '2026-11-21T12:00:00Z' }] }, 'schema'],
  ['CertificateRevocation', { identities: [{ identity: 'spiffe://a/ns/b/sa/c', issuedBefore: 'now' }] }, 'schema'],
  ['CertificateRevocation', { serials: Array(5001).fill('1'), identities: identities(5000) }, 'cel'],
];

function identities(count: number): Json[] {
  return Array(count).fill({ identity: 'spiffe://a/ns/b/sa/c', issuedBefore: '2026-11-21T12:00:00Z' });
}

function objectOf(kind: string, spec: unknown, name = 'it'): KubeObject {
  return { apiVersion: 'ambient.mesh/v1alpha1', kind, metadata: { name, namespace: 'default' }, spec };
}

function schemaOf(kind: string): Schema {
  const found = definitions.find(({ spec }) => spec.names.kind === kind);
  return found?.spec.versions[0]?.schema.openAPIV3Schema ?? assert.fail(`no definition of ${kind}`);
}

/** `spec.limits[].by[].type` for every property of a schema. */
function fieldsOf(schema: Schema, at: string): string[] {
  const inner = Object.entries(schema.properties ?? {}).flatMap(([name, each]) => {
    return [`${at}.${name}`, ...fieldsOf(each, `${at}.${name}`)];
  });
  return schema.items === undefined ? inner : [...inner, ...fieldsOf(schema.items, `${at}[]`)];
}

/** The value, with a note of every field of a mapping that is asked for. */
function watched<T>(value: T, at: string, asked: Set<string>): T {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((each) => watched(each, `${at}[]`, asked)) as T;
  return new Proxy(value, {
    get(target, key) {
      if (typeof key !== 'string') return Reflect.get(target, key);
      asked.add(`${at}.${key}`);
      return watched(Reflect.get(target, key), `${at}.${key}`, asked);
    },
  });
}

/** True when the reader takes a sample with the field of that path added to every mapping that could have it. */
function takesField(kind: string, field: string): boolean {
  const dot = field.lastIndexOf('.');
  const [parent, name] = [field.slice(0, dot), field.slice(dot + 1)];
  const added = (value: unknown, at: string): unknown => {
    if (Array.isArray(value)) return value.map((each) => added(each, `${at}[]`));
    if (typeof value !== 'object' || value === null) return value;
    const copy = Object.fromEntries(Object.entries(value).map(([key, each]) => [key, added(each, `${at}.${key}`)]));
    return at === parent ? { ...copy, [name]: 'default' } : copy;
  };
  const [sample] = samples[kind]!;
  return isRead(objectOf(kind, added(sample, 'spec')));
}

function isRead(object: KubeObject): boolean {
  try {
    readKubeObject(object);
    return true;
  } catch {
    return false;
  }
}

test('every kind of our own has a definition, under the name that is watched', () => {
  const own = watchedKinds.filter(({ group }) => group === 'ambient.mesh');
  const names = (list: readonly { kind: string; plural: string }[]) =>
    list.map((one) => `${one.kind} ${one.plural}`).sort();
  assert.deepEqual(names(definitions.map(({ spec }) => spec.names)), names(own));
  const short = definitions.flatMap(({ spec }) => spec.names.shortNames);
  assert.equal(new Set(short).size, definitions.length);
});

for (const [kind, specs] of Object.entries(samples)) {
  test(`${kind}: the schema has the fields that are read, and no others`, () => {
    const asked = new Set<string>();
    for (const spec of specs) readKubeObject(objectOf(kind, watched(spec, 'spec', asked)));
    const there = fieldsOf(schemaOf(kind).properties!['spec']!, 'spec');
    assert.deepEqual(
      there.filter((field) => !asked.has(field)),
      [],
      'in the schema, and never read',
    );
    // A reader may ask for a field that it has refused before.
    const missing = [...asked].filter((field) => !there.includes(field) && takesField(kind, field));
    assert.deepEqual(missing, [], 'read, and not in the schema');
  });

  test(`${kind}: samples pass, whole`, () => {
    for (const spec of specs) {
      const object = objectOf(kind, spec);
      const unknown: string[] = [];
      assert.deepEqual(schemaFaults(object, schemaOf(kind)), []);
      pruned(object, schemaOf(kind), unknown);
      assert.deepEqual(unknown, []);
    }
  });
}

test('what the readers refuse, the schemas refuse', () => {
  for (const [kind, spec, judge] of refused) {
    const object = objectOf(kind, spec);
    const row = `${kind} ${JSON.stringify(spec).slice(0, 200)}`;
    assert.equal(isRead(object), false, `is read: ${row}`);
    const faults = schemaFaults(object, schemaOf(kind));
    assert.equal(faults.length > 0, judge === 'schema', `${JSON.stringify(faults)}: ${row}`);
  }
});

test('an API server takes the definitions, and by them objects and their conditions', {
  timeout: 30_000,
}, async (context) => {
  const server = new ApiServer();
  const { url, caPem, token } = await server.start();
  context.after(() => server.close());
  const tls = (): { ca: string } => ({ ca: caPem });
  const client = new ApiClient({ server: url, namespace: 'default', tls, authorization: () => `Bearer ${token}` });
  context.after(() => client.close());
  for (const body of definitions) {
    await client.json({ method: 'POST', path: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', body });
  }
  for (const { spec } of definitions) {
    const { kind, plural } = spec.names;
    const all = `/apis/ambient.mesh/v1alpha1/namespaces/default/${plural}`;
    while (!(await client.json({ path: all }).then(() => true, isNotFound))) await new Promise(setImmediate);
    const query = { fieldValidation: 'Strict' };
    for (const [at, sample] of samples[kind]!.entries()) {
      await client.json({ method: 'POST', path: all, query, body: objectOf(kind, sample, `s${at}`) });
    }
    const [, bad] = refused.find(([name, , judge]) => name === kind && judge === 'schema')!;
    const answer = client.json({ method: 'POST', path: all, query, body: objectOf(kind, bad, 'bad') });
    await assert.rejects(answer, (error) => failureOf(error)?.status === 422);
    const condition = { type: 'Accepted', status: 'True', reason: 'Accepted', message: '', observedGeneration: 1 };
    const status = { conditions: [{ ...condition, lastTransitionTime: '2026-11-21T12:00:00Z' }] };
    const { apiVersion, metadata } = objectOf(kind, {}, 's0');
    const applied = (await client.json({
      method: 'PATCH',
      path: `${all}/s0/status`,
      query: { fieldManager: 'ambient-controller', force: 'true' },
      contentType: 'application/apply-patch+yaml',
      body: { apiVersion, kind, metadata, status },
    })) as Json;
    assert.deepEqual(applied['status'], status);
  }
});

/** False for a kind that is not served yet; any other error is thrown again. */
function isNotFound(error: unknown): false {
  if (failureOf(error)?.status !== 404) throw error;
  return false;
}

// Values for tests: everything switched on, and random ones that a schema admits.
import fc from 'fast-check';
import type { JsonSchema } from '../../src/config/schema.ts';

/** What a plain `string` may be where the schema says no more than a format. */
const ofFormat: Readonly<Record<string, readonly string[]>> = {
  cidr: ['10.0.0.0/8', 'fd00::/64'],
  ip: ['10.0.0.1', '::1'],
};
const textMax = 40;
const numberMax = 10_000_000;

/** Every switch on, and a value for what has none by itself. */
export const everything: unknown = {
  image: { pullSecrets: ['registry'] },
  controller: { replicas: 2 },
  node: { config: { podCidrs: ['10.244.0.0/24'] } },
  page: { listen: 'everywhere', names: ['mesh.example'], certificate: 'secret' },
  networkPolicies: { enabled: true },
  podMonitors: { enabled: true, labels: { release: 'prometheus' } },
  dashboards: { enabled: true, labels: { team: 'mesh' } },
  alerts: { enabled: true, labels: { release: 'prometheus' } },
  criticalPodsQuota: { enabled: true },
};

/** Values of a schema, each field of a mapping there or not; the namespace is left out. */
export function anyValues(schema: JsonSchema): fc.Arbitrary<unknown> {
  const properties = schema['properties'] as Readonly<Record<string, JsonSchema>>;
  const { namespace: _chosen, ...rest } = properties;
  return any({ ...schema, properties: rest });
}

function any(schema: JsonSchema): fc.Arbitrary<unknown> {
  const { type, enum: words, anyOf, pattern, format, properties, items } = schema;
  if (Array.isArray(words)) return fc.constantFrom(...(words as unknown[]));
  if (Array.isArray(anyOf)) return fc.oneof(...anyOf.map((one) => any(one as JsonSchema)));
  if (type === 'boolean') return fc.boolean();
  if (type === 'integer') return fc.integer({ min: schema['minimum'] as number, max: schema['maximum'] as number });
  if (type === 'number') {
    const { maximum: max = numberMax } = schema as { readonly maximum?: number };
    return fc.oneof(fc.nat(max), fc.double({ min: 0, max, noNaN: true }));
  }
  if (type === 'array') return fc.array(any(items as JsonSchema), { maxLength: 3 });
  if (type === 'string') {
    if (typeof pattern === 'string') return fc.stringMatching(new RegExp(pattern), { maxLength: textMax });
    return typeof format === 'string' ? fc.constantFrom(...ofFormat[format]!) : fc.string({ maxLength: textMax });
  }
  if (properties === undefined) {
    const key = fc.stringMatching(/^[a-z]{1,9}$/);
    return fc.dictionary(key, any(schema['additionalProperties'] as JsonSchema), { maxKeys: 3 });
  }
  const fields = Object.entries(properties as Readonly<Record<string, JsonSchema>>);
  // A duration has two names, of which one may be given.
  const once = fields.filter(([name]) => !fields.some(([other]) => other === `${name}Ms`));
  return fc.record(Object.fromEntries(once.map(([name, each]) => [name, any(each)])), { requiredKeys: [] });
}

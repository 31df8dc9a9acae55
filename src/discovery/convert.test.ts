import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { formatIp } from '../base/ip.ts';
import type { Policy, PolicyMatch, Service, Workload } from '../model/types.ts';
import { closedStandIn } from './convert-policy.ts';
import { ResourceSchema } from './generated/ads_pb.ts';
import { AuthorizationSchema } from './generated/authorization_pb.ts';
import { AddressSchema, TunnelProtocol, WorkloadSchema } from './generated/workload_pb.ts';
import {
  decodeResource,
  type EncodedResource,
  encodePolicy,
  encodeRevocation,
  encodeService,
  encodeWorkload,
  standInFor,
  type TypeUrl,
  typeUrls,
} from './resources.ts';

const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$/);
const ipv4 = fc.integer({ min: 0, max: 2 ** 32 - 1 }).map((value) => formatIp({ family: 4, value }));
const ipv6 = fc
  .bigInt({ min: 0n, max: 2n ** 128n - 1n })
  .filter((value) => value >> 32n !== 0xffffn)
  .map((value) => formatIp({ family: 6, value }));
const ip = fc.oneof(ipv4, ipv6);
const port = fc.integer({ min: 0, max: 65_535 });
const list = <T>(item: fc.Arbitrary<T>, maxLength = 4): fc.Arbitrary<T[]> => fc.array(item, { maxLength });
const ports = list(
  fc.record({
    servicePort: port,
    targetPort: port,
    appProtocol: fc.constantFrom('unknown', 'http1', 'http2', 'grpc', 'tcp', 'tls'),
  }),
);
const waypoint = fc.option(
  fc.oneof(
    fc.record({ hostname: fc.record({ namespace: label, hostname: label }), hbonePort: port }),
    fc.record({ address: fc.record({ network: label, address: ip }), hbonePort: port }),
  ),
);
const key = fc.tuple(label, label).map((parts) => parts.join('/'));

const workload: fc.Arbitrary<Workload> = fc.record({
  uid: label.map((name) => `Kubernetes//Pod/shop/${name}`),
  name: label,
  namespace: label,
  addresses: list(ip, 2),
  network: fc.constantFrom('', 'west'),
  tunnelProtocol: fc.constantFrom('HBONE', 'NONE'),
  trustDomain: label,
  serviceAccount: label,
  node: label,
  canonicalName: label,
  canonicalRevision: label,
  workloadType: fc.constantFrom('deployment', 'cronjob', 'pod', 'job'),
  workloadName: label,
  nativeTunnel: fc.boolean(),
  policies: list(key),
  healthy: fc.boolean(),
  clusterId: label,
  locality: fc.option(fc.record({ region: label, zone: label, subzone: label })),
  hostNetwork: fc.boolean(),
  capacity: fc.integer({ min: 0, max: 1000 }),
  waypoint,
  services: fc.dictionary(key, ports, { maxKeys: 3 }).map((entries) => ({ ...entries })),
});

const service: fc.Arbitrary<Service> = fc.record({
  name: label,
  namespace: label,
  hostname: label,
  addresses: list(ip, 2),
  ports,
  subjectAltNames: list(key),
  waypoint,
  loadBalancing: fc.option(
    fc.record({
      mode: fc.constantFrom('unspecified', 'strict', 'failover', 'passthrough'),
      routingPreference: list(fc.constantFrom('region', 'zone', 'subzone', 'node', 'cluster', 'network')),
      healthPolicy: fc.constantFrom('onlyHealthy', 'allowAll'),
    }),
  ),
  ipFamilies: fc.constantFrom('automatic', 'ipv4', 'ipv6', 'dual'),
  canonical: fc.boolean(),
  visibility: fc.constantFrom('public', 'namespace'),
});

const stringMatch = fc.oneof(
  fc.record({ kind: fc.constantFrom('exact', 'prefix', 'suffix'), value: label }),
  fc.constant({ kind: 'presence' as const }),
);
const block = fc.oneof(
  ipv4.map((address) => `${address}/32`),
  ipv6.map((address) => `${address}/128`),
  fc.constantFrom('10.0.0.0/8', '0.0.0.0/0', 'fd00::/8', '::/0'),
);
const account = fc.record({ namespace: label, serviceAccount: label });
const full = <T>(item: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(item, { minLength: 1, maxLength: 3 });
const match = fc.record(
  {
    namespaces: full(stringMatch),
    notNamespaces: full(stringMatch),
    principals: full(stringMatch),
    notPrincipals: full(stringMatch),
    sourceIps: full(block),
    notSourceIps: full(block),
    destinationIps: full(block),
    notDestinationIps: full(block),
    destinationPorts: full(port),
    notDestinationPorts: full(port),
    serviceAccounts: full(account),
    notServiceAccounts: full(account),
  },
  { requiredKeys: [] },
) as fc.Arbitrary<PolicyMatch>;

const policy: fc.Arbitrary<Policy> = fc.record({
  name: label,
  namespace: label,
  scope: fc.constantFrom('global', 'namespace', 'workload'),
  action: fc.constantFrom('allow', 'deny'),
  rules: list(fc.record({ clauses: list(fc.record({ matches: list(match) })) })),
  dryRun: fc.boolean(),
});

function received(typeUrl: TypeUrl, encoded: EncodedResource) {
  const { name, version, bytes } = encoded;
  return create(ResourceSchema, { name, version, resource: { typeUrl, value: bytes } });
}

test('a workload, a service and a policy come out as they went in', () => {
  fc.assert(
    fc.property(workload, service, policy, (one, two, three) => {
      assert.deepEqual(
        decodeResource(typeUrls.address, received(typeUrls.address, encodeWorkload(one))).value,
        plain(one),
      );
      assert.deepEqual(
        decodeResource(typeUrls.address, received(typeUrls.address, encodeService(two))).value,
        plain(two),
      );
      const policies = typeUrls.authorization;
      assert.deepEqual(decodeResource(policies, received(policies, encodePolicy(three))).value, plain(three));
    }),
  );
});

/** Objects without prototype, which fast-check makes, are equal to ours in every way that matters. */
function plain<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

test('equal content has an equal version, other content another', () => {
  fc.assert(
    fc.property(workload, (one) => {
      assert.equal(encodeWorkload(one).version, encodeWorkload(plain(one)).version);
      assert.notEqual(encodeWorkload(one).version, encodeWorkload({ ...one, healthy: !one.healthy }).version);
    }),
  );
});

test('aliases name every address', () => {
  const [one] = fc.sample(workload, 1);
  assert.ok(one);
  const encoded = encodeWorkload({ ...one, network: 'west', addresses: ['10.0.0.1', 'fd00::1'] });
  assert.deepEqual(encoded.aliases, ['west/10.0.0.1', 'west/fd00::1']);
});

test('what is left out has the defaults of the public API', () => {
  const message = create(WorkloadSchema, { uid: 'u', namespace: 'shop' });
  const bytes = toBinary(AddressSchema, create(AddressSchema, { type: { case: 'workload', value: message } }));
  const decoded = decodeResource(
    typeUrls.address,
    received(typeUrls.address, { name: 'u', version: '1', bytes, aliases: [], scope: null }),
  );
  assert.equal(decoded.kind, 'workload');
  const { trustDomain, serviceAccount, clusterId, capacity, healthy, tunnelProtocol } = decoded.value as Workload;
  assert.deepEqual(
    { trustDomain, serviceAccount, clusterId, capacity, healthy, tunnelProtocol },
    {
      trustDomain: 'cluster.local',
      serviceAccount: 'default',
      clusterId: 'Kubernetes',
      capacity: 1,
      healthy: true,
      tunnelProtocol: 'NONE',
    },
  );
});

const badWorkloads = [
  ['an address of 5 bytes', { addresses: [new Uint8Array(5)] }],
  ['the old Istio tunnel', { tunnelProtocol: TunnelProtocol.LEGACY_ISTIO_MTLS }],
  ['a tunnel that nobody knows', { tunnelProtocol: 9 as TunnelProtocol }],
  ['a waypoint that is nowhere', { waypoint: { hboneMtlsPort: 15_008 } }],
  ['a port beyond 65535', { services: { 'shop/web': { ports: [{ servicePort: 70_000, targetPort: 1 }] } } }],
  ['no namespace', { namespace: '' }],
] as const;

for (const [title, change] of badWorkloads) {
  test(`a workload is refused by name: ${title}`, () => {
    const message = create(WorkloadSchema, { uid: 'u', namespace: 'shop', ...(change as object) });
    const bytes = toBinary(AddressSchema, create(AddressSchema, { type: { case: 'workload', value: message } }));
    const resource = received(typeUrls.address, { name: 'u', version: '1', bytes, aliases: [], scope: null });
    assert.throws(() => decodeResource(typeUrls.address, resource), { code: 'RESOURCE_REFUSED', message: /^u: / });
  });
}

test('a resource under another name, of another type or cut short is refused', () => {
  const [one] = fc.sample(workload, 1);
  assert.ok(one);
  const encoded = encodeWorkload(one);
  const cut = { ...encoded, bytes: encoded.bytes.subarray(0, encoded.bytes.length - 3) };
  for (const resource of [
    received(typeUrls.address, { ...encoded, name: 'other' }),
    received(typeUrls.authorization, encoded),
    received(typeUrls.address, cut),
  ]) {
    assert.throws(() => decodeResource(typeUrls.address, resource), { code: 'RESOURCE_REFUSED' });
  }
});

/** `bytes` of an Authorization whose only match also has a field 99 that a later version of the API may have. */
function policyWithUnknownCondition(): Uint8Array {
  const unknownField = Uint8Array.of(0x9a, 0x06, 0x01, 0x78); // field 99, length-delimited, "x"
  const matchBytes = unknownField;
  const nest = (fieldTag: number, bytes: Uint8Array): Uint8Array => Uint8Array.of(fieldTag, bytes.length, ...bytes);
  const rule = nest(0x2a, nest(0x0a, nest(0x12, matchBytes)));
  const base = toBinary(AuthorizationSchema, create(AuthorizationSchema, { name: 'p', namespace: 'shop', scope: 1 }));
  return Uint8Array.of(...base, ...rule);
}

test('a policy with a condition that is not known here is refused, and denies its scope until it can be read', () => {
  const bytes = policyWithUnknownCondition();
  assert.equal(fromBinary(AuthorizationSchema, bytes).rules.length, 1);
  const resource = received(typeUrls.authorization, { name: 'shop/p', version: '1', bytes, aliases: [], scope: null });
  assert.throws(() => decodeResource(typeUrls.authorization, resource), { message: /field 99 is not known here/ });
  assert.deepEqual(standInFor(resource), {
    name: 'p',
    namespace: 'shop',
    scope: 'namespace',
    action: 'deny',
    rules: [{ clauses: [] }],
    dryRun: false,
  });
});

test('a policy of which nothing can be read denies its namespace', () => {
  const bytes = Uint8Array.of(0xff, 0xff, 0xff);
  const resource = received(typeUrls.authorization, { name: 'shop/p', version: '1', bytes, aliases: [], scope: null });
  assert.throws(() => decodeResource(typeUrls.authorization, resource), { code: 'RESOURCE_REFUSED' });
  assert.deepEqual(standInFor(resource), closedStandIn('shop', 'p', null));
});

test('a revocation comes out as it went in, and one with a field that is not known is refused', () => {
  const identity = 'spiffe://cluster.local/ns/shop/sa/web';
  const identities = [{ identity, issuedBeforeMs: Date.UTC(2026, 0, 31) }];
  const revocation = { namespace: 'ambient-system', name: 'stolen', serials: ['7f', '0'], identities };
  const encoded = encodeRevocation(revocation);
  assert.deepEqual(decodeResource(typeUrls.revocation, received(typeUrls.revocation, encoded)).value, revocation);
  const bytes = Uint8Array.from([...encoded.bytes, 0x98, 0x06, 0x01]);
  assert.throws(() => decodeResource(typeUrls.revocation, received(typeUrls.revocation, { ...encoded, bytes })), {
    message: 'ambient-system/stolen: field 99 is not known here',
  });
});

test('the type inside the Any is the public one', () => {
  const any = anyPack(AddressSchema, create(AddressSchema));
  assert.equal(any.typeUrl, typeUrls.address);
  assert.equal(anyPack(AuthorizationSchema, create(AuthorizationSchema)).typeUrl, typeUrls.authorization);
});

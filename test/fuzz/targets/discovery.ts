// Resources as a controller sends them: decoded, converted, encoded again, and taken into a mesh.
import { isDeepStrictEqual } from 'node:util';
import { create } from '@bufbuild/protobuf';
import { isMeshError } from '../../../src/base/errors.ts';
import { ResourceSchema } from '../../../src/discovery/generated/ads_pb.ts';
import {
  type DecodedResource,
  decodeResource,
  type EncodedResource,
  encodeNode,
  encodePolicy,
  encodeRevocation,
  encodeRoutes,
  encodeService,
  encodeWorkload,
  nameOf,
  standInFor,
  typeUrls,
} from '../../../src/discovery/resources.ts';
import { MeshIndex } from '../../../src/model/mesh-index.ts';
import type { Policy, Service, Workload } from '../../../src/model/types.ts';
import type { Random } from '../../support/random.ts';
import { broken, type FuzzTarget, outcomeOf } from '../target.ts';

const workload: Workload = {
  uid: 'Kubernetes//Pod/shop/web-1',
  name: 'web-1',
  namespace: 'shop',
  addresses: ['10.244.1.2', 'fd00::2'],
  network: '',
  tunnelProtocol: 'HBONE',
  trustDomain: 'cluster.local',
  serviceAccount: 'web',
  node: 'node-1',
  canonicalName: 'web',
  canonicalRevision: 'v1',
  workloadType: 'deployment',
  workloadName: 'web',
  nativeTunnel: false,
  policies: ['shop/p'],
  healthy: true,
  clusterId: 'Kubernetes',
  locality: { region: 'r', zone: 'z', subzone: 's' },
  hostNetwork: false,
  capacity: 1,
  waypoint: { hostname: { namespace: 'shop', hostname: 'w' }, hbonePort: 15_008 },
  services: { 'shop/web.shop.svc': [{ servicePort: 80, targetPort: 8080, appProtocol: 'http1' }] },
};
const service: Service = {
  name: 'web',
  namespace: 'shop',
  hostname: 'web.shop.svc',
  addresses: ['10.96.0.1'],
  ports: [{ servicePort: 80, targetPort: 8080, appProtocol: 'tcp' }],
  subjectAltNames: ['spiffe://cluster.local/ns/shop/sa/web'],
  waypoint: { address: { network: '', address: '10.0.0.1' }, hbonePort: 15_008 },
  loadBalancing: { mode: 'failover', routingPreference: ['zone', 'node'], healthPolicy: 'onlyHealthy' },
  ipFamilies: 'dual',
  canonical: true,
  visibility: 'public',
};
const policy: Policy = {
  name: 'p',
  namespace: 'shop',
  scope: 'workload',
  action: 'allow',
  dryRun: false,
  rules: [
    {
      clauses: [
        {
          matches: [
            {
              principals: [{ kind: 'exact', value: 'cluster.local/ns/shop/sa/web' }, { kind: 'presence' }],
              notNamespaces: [{ kind: 'prefix', value: 'x' }],
              sourceIps: ['10.0.0.0/8', 'fd00::/8'],
              destinationPorts: [80, 443],
              serviceAccounts: [{ namespace: 'shop', serviceAccount: 'web' }],
            },
          ],
        },
      ],
    },
  ],
};

/** One byte for the type, then the message. */
const asInput = (type: number, encoded: EncodedResource): Buffer => Buffer.concat([Buffer.from([type]), encoded.bytes]);
const seeds = [
  asInput(0, encodeWorkload(workload)),
  asInput(0, encodeService(service)),
  asInput(1, encodePolicy(policy)),
  asInput(2, encodeNode({ name: 'n1', podCidrs: ['10.244.1.0/24', 'fd00:10:244:1::/64'] })),
];

/** Fields of a message: tag, and either a number or bytes. Null when it is no message. */
function readFields(bytes: Buffer): { tag: number; value: number | Buffer }[] | null {
  const fields: { tag: number; value: number | Buffer }[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 1; at < bytes.length; shift *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
      if (shift > 2 ** 42) break;
    }
    return -1;
  };
  while (at < bytes.length) {
    const tag = varint();
    const number = varint();
    if (tag <= 7 || number < 0 || ((tag & 7) !== 0 && (tag & 7) !== 2)) return null;
    if ((tag & 7) === 0) {
      fields.push({ tag, value: number });
      continue;
    }
    if (at + number > bytes.length) return null;
    fields.push({ tag, value: Buffer.from(bytes.subarray(at, at + number)) });
    at += number;
  }
  return fields;
}

function writeVarint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}

function changeField(field: { tag: number; value: number | Buffer }, random: Random): void {
  if (random.oneIn(3)) field.tag = random.between(1, 40) * 8 + random.pick([0, 2, 2, 5]);
  else if (Buffer.isBuffer(field.value)) {
    field.value = Buffer.from(Array.from({ length: random.size(18, 0) }, () => random.pick([0, 0x2f, 0x61, 0xff])));
  } else field.value = random.pick([0, 1, 2, 3, 9, 127, 128, 65_535, 65_536, 2 ** 32]);
}

/** Goes down to a field at random, changes it, and mends the lengths on the way up. */
function mutateMessage(bytes: Buffer, random: Random, depth: number): Buffer {
  const fields = readFields(bytes);
  if (fields === null || fields.length === 0) return bytes;
  const at = random.below(fields.length);
  const field = fields[at]!;
  if (Buffer.isBuffer(field.value) && depth < 8 && !random.oneIn(3)) {
    field.value = mutateMessage(field.value, random, depth + 1);
  } else if (random.oneIn(4)) fields.splice(at, 1);
  else if (random.oneIn(3)) fields.push({ ...field });
  else changeField(field, random);
  return Buffer.concat(
    fields.flatMap(({ tag, value }) =>
      typeof value === 'number'
        ? [writeVarint(tag), writeVarint(value)]
        : [writeVarint(tag), writeVarint(value.length), value],
    ),
  );
}

function encodeAgain(decoded: DecodedResource): EncodedResource {
  if (decoded.kind === 'workload') return encodeWorkload(decoded.value);
  if (decoded.kind === 'service') return encodeService(decoded.value);
  if (decoded.kind === 'routes') return encodeRoutes(decoded.value);
  if (decoded.kind === 'node') return encodeNode(decoded.value);
  return decoded.kind === 'policy' ? encodePolicy(decoded.value) : encodeRevocation(decoded.value);
}

const read = (typeUrl: string, name: string, value: Uint8Array): DecodedResource =>
  decodeResource(typeUrl, create(ResourceSchema, { name, version: '1', resource: { typeUrl, value } }));

/** What is taken must come out of a second journey as it is, and a mesh must take it in. */
function checkTaken(typeUrl: string, decoded: DecodedResource): void {
  const again = read(typeUrl, nameOf(decoded), encodeAgain(decoded).bytes);
  if (!isDeepStrictEqual(again, decoded)) broken(`${JSON.stringify(decoded)} became ${JSON.stringify(again)}`);
  new MeshIndex().apply({
    workloads: decoded.kind === 'workload' ? [decoded.value] : [],
    services: decoded.kind === 'service' ? [decoded.value] : [],
    policies: decoded.kind === 'policy' ? [decoded.value] : [],
    removedAddresses: [],
    removedPolicies: [],
    complete: false,
  });
}

const typesByFirstByte = [typeUrls.address, typeUrls.authorization, typeUrls.nodes, typeUrls.revocation];

export const discoveryTarget: FuzzTarget = {
  name: 'discovery',
  seeds,
  words: ['\x0a\x00', '\x12\x04', '__proto__', 'constructor', '\xff\xff\xff\xff\x0f'],
  bytesMax: 1024,
  mutate: (input, random) => Buffer.concat([input.subarray(0, 1), mutateMessage(input.subarray(1), random, 0)]),
  run: (input) => {
    const typeUrl = typesByFirstByte[(input[0] ?? 0) % typesByFirstByte.length]!;
    const bytes = input.subarray(1);
    let name = '';
    try {
      read(typeUrl, '', bytes);
    } catch (error) {
      if (!isMeshError(error) || error.code !== 'RESOURCE_REFUSED') throw error;
      // It is only refused for its name when all else could be read: then it is read under the right one.
      const found = /^: its content is (.*)$/s.exec(error.message)?.[1];
      if (found === undefined || found === '') {
        const resource = create(ResourceSchema, { name: 'shop/p', resource: { typeUrl, value: bytes } });
        if (standInFor(resource).action !== 'deny') broken('a stand-in that lets in');
        return outcomeOf(error);
      }
      name = found;
    }
    const decoded = read(typeUrl, name, bytes);
    checkTaken(typeUrl, decoded);
    return `${decoded.kind} ${Object.values(decoded.value)
      .map((value) => (Array.isArray(value) ? Math.min(value.length, 3) : typeof value))
      .join(' ')
      .slice(0, 60)}`;
  },
};

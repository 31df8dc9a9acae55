// Field numbers of the public API, written down a second time: whoever changes a .proto file by mistake is told here.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DescMessage } from '@bufbuild/protobuf';
import { DeltaDiscoveryRequestSchema, DeltaDiscoveryResponseSchema, ResourceSchema } from './generated/ads_pb.ts';
import {
  AuthorizationSchema,
  AddressSchema as BlockSchema,
  MatchSchema,
  StringMatchSchema,
} from './generated/authorization_pb.ts';
import { IstioCertificateRequestSchema, IstioCertificateResponseSchema } from './generated/certificate_pb.ts';
import { NodeNetworkSchema } from './generated/node_network_pb.ts';
import { CertificateRevocationSchema, RevokedIdentitySchema } from './generated/revocation_pb.ts';
import {
  AddressSchema,
  GatewayAddressSchema,
  LoadBalancingSchema,
  NetworkAddressSchema,
  PortSchema,
  ServiceSchema,
  WorkloadSchema,
} from './generated/workload_pb.ts';

const messages: readonly (readonly [DescMessage, string, Readonly<Record<string, number>>])[] = [
  [
    CertificateRevocationSchema,
    'ambient.mesh.v1alpha1.CertificateRevocation',
    { namespace: 1, name: 2, serials: 3, identities: 4 },
  ],
  [NodeNetworkSchema, 'ambient.mesh.v1alpha1.NodeNetwork', { name: 1, pod_cidrs: 2 }],
  [RevokedIdentitySchema, 'ambient.mesh.v1alpha1.RevokedIdentity', { identity: 1, issued_before_ms: 2 }],
  [AddressSchema, 'istio.workload.Address', { workload: 1, service: 2 }],
  [
    WorkloadSchema,
    'istio.workload.Workload',
    {
      uid: 20,
      name: 1,
      namespace: 2,
      addresses: 3,
      network: 4,
      tunnel_protocol: 5,
      trust_domain: 6,
      service_account: 7,
      waypoint: 8,
      node: 9,
      canonical_name: 10,
      canonical_revision: 11,
      workload_type: 12,
      workload_name: 13,
      native_tunnel: 14,
      authorization_policies: 16,
      status: 17,
      cluster_id: 18,
      services: 22,
      locality: 24,
      network_mode: 25,
      capacity: 27,
      // Of Ambient's own, far from where the API may grow.
      labels: 10001,
    },
  ],
  [
    ServiceSchema,
    'istio.workload.Service',
    {
      name: 1,
      namespace: 2,
      hostname: 3,
      addresses: 4,
      ports: 5,
      subject_alt_names: 6,
      waypoint: 7,
      load_balancing: 8,
      ip_families: 9,
      canonical: 11,
      visibility: 14,
    },
  ],
  [PortSchema, 'istio.workload.Port', { service_port: 1, target_port: 2, app_protocol: 3 }],
  [NetworkAddressSchema, 'istio.workload.NetworkAddress', { network: 1, address: 2, length: 3 }],
  [GatewayAddressSchema, 'istio.workload.GatewayAddress', { hostname: 1, address: 2, hbone_mtls_port: 3 }],
  [LoadBalancingSchema, 'istio.workload.LoadBalancing', { routing_preference: 1, mode: 2, health_policy: 3 }],
  [
    AuthorizationSchema,
    'istio.security.Authorization',
    { name: 1, namespace: 2, scope: 3, action: 4, rules: 5, dry_run: 6 },
  ],
  [
    MatchSchema,
    'istio.security.Match',
    {
      namespaces: 1,
      not_namespaces: 2,
      principals: 3,
      not_principals: 4,
      source_ips: 5,
      not_source_ips: 6,
      destination_ips: 7,
      not_destination_ips: 8,
      destination_ports: 9,
      not_destination_ports: 10,
      service_accounts: 11,
      not_service_accounts: 12,
    },
  ],
  [BlockSchema, 'istio.security.Address', { address: 1, length: 2 }],
  [StringMatchSchema, 'istio.security.StringMatch', { exact: 1, prefix: 2, suffix: 3, presence: 4 }],
  [
    DeltaDiscoveryRequestSchema,
    'envoy.service.discovery.v3.DeltaDiscoveryRequest',
    {
      node: 1,
      type_url: 2,
      resource_names_subscribe: 3,
      resource_names_unsubscribe: 4,
      initial_resource_versions: 5,
      response_nonce: 6,
      error_detail: 7,
    },
  ],
  [
    DeltaDiscoveryResponseSchema,
    'envoy.service.discovery.v3.DeltaDiscoveryResponse',
    { system_version_info: 1, resources: 2, type_url: 4, nonce: 5, removed_resources: 6 },
  ],
  [ResourceSchema, 'envoy.service.discovery.v3.Resource', { version: 1, resource: 2, name: 3, aliases: 4 }],
  [
    IstioCertificateRequestSchema,
    'istio.v1.auth.IstioCertificateRequest',
    { csr: 1, validity_duration: 3, metadata: 4 },
  ],
  [IstioCertificateResponseSchema, 'istio.v1.auth.IstioCertificateResponse', { cert_chain: 1 }],
];

for (const [schema, typeName, numbers] of messages) {
  test(`${typeName} has the names and numbers of the public API`, () => {
    assert.equal(schema.typeName, typeName);
    assert.deepEqual(Object.fromEntries(schema.fields.map((field) => [field.name, field.number])), numbers);
  });
}

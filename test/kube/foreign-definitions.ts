// Definitions (CustomResourceDefinitions) of the foreign kinds that the controller follows and writes to, with what
// Gateway API and Istio say of a status: what is required, how much of it, and of which shape. Specs take anything.

import { fullName, watchedKinds } from '../../src/kube/api/kinds.ts';
import { writtenKinds } from '../../src/kube/api/written-kinds.ts';
import type { Schema } from '../../src/lab/api-server/structural-schema.ts';

type Json = Readonly<Record<string, unknown>>;

export const definitionsPath = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const gatewayGroup = 'gateway.networking.k8s.io';
const anything: Schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
const integer: Schema = { type: 'integer', minimum: 0 };
const name: Schema = { type: 'string', minLength: 1, maxLength: 253 };

/** metav1.Condition, as Gateway API has it. */
const conditions: Schema = {
  type: 'array',
  maxItems: 8,
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['type'],
  items: {
    type: 'object',
    required: ['lastTransitionTime', 'message', 'reason', 'status', 'type'],
    properties: {
      lastTransitionTime: { type: 'string', format: 'date-time' },
      message: { type: 'string', maxLength: 32_768 },
      observedGeneration: integer,
      reason: { type: 'string', minLength: 1, maxLength: 1_024, pattern: '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$' },
      status: { type: 'string', enum: ['True', 'False', 'Unknown'] },
      type: { type: 'string', maxLength: 316, pattern: '^([a-z0-9.-]+/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$' },
    },
  },
};

const parentRef: Schema = {
  type: 'object',
  required: ['name'],
  properties: {
    group: { type: 'string', default: gatewayGroup, maxLength: 253, pattern: '^$|^[a-z0-9.-]+$' },
    kind: { type: 'string', default: 'Gateway', minLength: 1, maxLength: 63, pattern: '^[a-zA-Z]([-a-zA-Z0-9]*)$' },
    namespace: { type: 'string', minLength: 1, maxLength: 63, pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$' },
    name,
    sectionName: name,
    port: { type: 'integer', minimum: 1, maximum: 65_535 },
  },
};

const routeStatus: Schema = {
  type: 'object',
  required: ['parents'],
  properties: {
    parents: {
      type: 'array',
      maxItems: 32,
      'x-kubernetes-list-type': 'atomic',
      items: {
        type: 'object',
        required: ['conditions', 'controllerName', 'parentRef'],
        properties: {
          parentRef,
          controllerName: { ...name, pattern: '^[a-z0-9.-]+/.+$' },
          conditions: { ...conditions, minItems: 1 },
        },
      },
    },
  },
};

const listeners: Schema = {
  type: 'array',
  maxItems: 64,
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['name'],
  items: {
    type: 'object',
    required: ['attachedRoutes', 'conditions', 'name'],
    properties: {
      name,
      attachedRoutes: integer,
      conditions,
      supportedKinds: {
        type: 'array',
        maxItems: 8,
        'x-kubernetes-list-type': 'atomic',
        items: {
          type: 'object',
          required: ['kind'],
          properties: { group: { type: 'string', default: gatewayGroup }, kind: name },
        },
      },
    },
  },
};

const unheard = { lastTransitionTime: '1970-01-01T00:00:00Z', message: 'Waiting for controller' };

const gatewayStatus: Schema = {
  type: 'object',
  properties: {
    addresses: {
      type: 'array',
      maxItems: 16,
      'x-kubernetes-list-type': 'atomic',
      items: {
        type: 'object',
        required: ['value'],
        properties: { type: { ...name, default: 'IPAddress' }, value: name },
      },
    },
    conditions: {
      ...conditions,
      default: ['Accepted', 'Programmed'].map((type) => ({ ...unheard, reason: 'Pending', status: 'Unknown', type })),
    },
    listeners,
  },
};

/** Istio's own idea of a condition: nothing is required, and the list has one owner. */
const istioStatus: Schema = {
  ...anything,
  properties: {
    conditions: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          lastTransitionTime: { type: 'string', format: 'date-time' },
          message: { type: 'string' },
          observedGeneration: { 'x-kubernetes-int-or-string': true },
          reason: { type: 'string' },
          status: { type: 'string' },
          type: { type: 'string' },
        },
      },
    },
  },
};

const gatewayClassStatus: Schema = {
  type: 'object',
  properties: {
    conditions: { ...conditions, default: [{ ...unheard, reason: 'Pending', status: 'Unknown', type: 'Accepted' }] },
  },
};

const gatewayStatuses: Readonly<Record<string, Schema>> = { Gateway: gatewayStatus, GatewayClass: gatewayClassStatus };

/** The definitions of every custom kind of Gateway API and Istio that is followed. */
export const foreignDefinitions: readonly Json[] = [...watchedKinds, ...writtenKinds]
  .filter(({ isCustom, group }) => isCustom && group !== 'ambient.mesh')
  .map((entry) => {
    const { kind, group, plural, versions } = entry;
    const status = group !== gatewayGroup ? istioStatus : (gatewayStatuses[kind] ?? routeStatus);
    const openAPIV3Schema = { type: 'object', properties: { spec: anything, status } };
    const version = { served: true, storage: true, subresources: { status: {} }, schema: { openAPIV3Schema } };
    return {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: {
        name: fullName(entry),
        // What an API server wants to see of definitions of groups of Kubernetes' own.
        annotations: { 'api-approved.kubernetes.io': 'unapproved, for tests' },
      },
      spec: {
        group,
        scope: kind === 'GatewayClass' ? 'Cluster' : 'Namespaced',
        names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase() },
        versions: [{ name: versions[0], ...version }],
      },
    };
  });

/** The definition of `kind`. */
export function foreignDefinition(kind: string): Json {
  const found = foreignDefinitions.find(({ spec }) => (spec as { names: { kind: string } }).names.kind === kind);
  if (found === undefined) throw new TypeError(`${kind} is no foreign kind`);
  return found;
}

// RateLimitPolicy and TrafficPolicy (`ambient.mesh/v1alpha1`; docs/routes.md): from an object to what the model keeps
// of it.
import type { ResourceMeta } from '../model/resources.ts';
import type { PolicyTarget, RateLimitPolicyResource, TrafficPolicyResource } from '../model/route-resources.ts';
import type { ObjectReader } from './object-reader.ts';
import { readReference } from './read-route-filters.ts';
import { headerNameOf, istioDuration, limited } from './route-values.ts';

const anyCount = { min: 1, max: 1_000_000_000 };
const targetGroups: Readonly<Record<string, string>> = {
  Service: '',
  HTTPRoute: 'gateway.networking.k8s.io',
  GRPCRoute: 'gateway.networking.k8s.io',
  VirtualService: 'networking.istio.io',
};
const perUnits: Readonly<Record<string, number>> = { Second: 1000, Minute: 60_000, Hour: 3_600_000, Day: 86_400_000 };

/** A RateLimitPolicy. Throws CONFIG_INVALID with the place of what cannot be meant. */
export function readRateLimitPolicy(object: ObjectReader, meta: ResourceMeta): RateLimitPolicyResource {
  const spec = object.object('spec');
  spec.only(['targetRefs', 'limits']);
  if (spec.list('limits').length === 0) spec.fail('limits', 'must name at least one limit');
  return {
    ...meta,
    kind: 'RateLimitPolicy',
    targets: readTargets(spec, meta.namespace),
    limits: limited(spec, 'limits', 16).map((limit) => {
      limit.only(['by', 'requests', 'per', 'burst']);
      const requests = limit.integer('requests', anyCount);
      const words = Object.keys(perUnits) as [string, ...string[]];
      const perMs = perUnits[limit.oneOf('per', words, 'Second')]!;
      return { by: readKeys(limit), requests, perMs, burst: limit.integer('burst', anyCount, requests) };
    }),
  };
}

function readKeys(limit: ObjectReader): RateLimitPolicyResource['limits'][number]['by'] {
  const keys = limited(limit, 'by', 4).map((one) => {
    one.only(['type', 'name']);
    const type = one.oneOf('type', ['Identity', 'Header']);
    if (type === 'Header') return { kind: 'header', name: headerNameOf(one, 'name') } as const;
    if (one.has('name')) one.fail('name', 'must not stand beside the type Identity');
    return { kind: 'identity' } as const;
  });
  return keys.length === 0 ? [{ kind: 'all' }] : keys;
}

/** A TrafficPolicy. Throws CONFIG_INVALID with the place of what cannot be meant. */
export function readTrafficPolicy(object: ObjectReader, meta: ResourceMeta): TrafficPolicyResource {
  const spec = object.object('spec');
  spec.only(['targetRefs', 'retryBudget', 'healthPaths', 'adaptiveConcurrency', 'slowStart', 'retries', 'timeouts']);
  const [budget, adaptive, slow] = ['retryBudget', 'adaptiveConcurrency', 'slowStart'].map((key) => spec.object(key));
  const [retries, timeouts] = ['retries', 'timeouts'].map((key) => spec.object(key));
  budget!.only(['percent', 'perSecond', 'minConcurrency']);
  adaptive!.only(['minLimit', 'maxLimit']);
  slow!.only(['window', 'minPercent', 'aggression']);
  retries!.only(['nonIdempotent', 'evenIfRetried']);
  timeouts!.only(['idle', 'maxStream']);
  const minLimit = adaptive!.integer('minLimit', anyCount, 3);
  return {
    ...meta,
    kind: 'TrafficPolicy',
    targets: readTargets(spec, meta.namespace),
    retryBudget: spec.has('retryBudget')
      ? {
          ratio: budget!.number('percent', { min: 0, max: 100 }, 20) / 100,
          perSecond: budget!.number('perSecond', { min: 0, max: 1_000_000 }, 3),
          minConcurrency: budget!.integer('minConcurrency', { min: 0, max: 1_000_000 }, 0),
        }
      : null,
    healthPaths: spec.has('healthPaths') ? readPaths(spec) : null,
    adaptiveConcurrency: spec.has('adaptiveConcurrency')
      ? { minLimit, maxLimit: adaptive!.integer('maxLimit', { min: minLimit, max: anyCount.max }, 1000) }
      : null,
    slowStart: spec.has('slowStart')
      ? {
          windowMs: istioDuration(slow!, 'window') ?? slow!.fail('window', 'must be there'),
          minPercent: slow!.number('minPercent', { min: 0, max: 100 }, 10),
          aggression: slow!.number('aggression', { min: 0.01, max: 100 }, 1),
        }
      : null,
    retryNonIdempotent: retries!.has('nonIdempotent') ? retries!.boolean('nonIdempotent', false) : null,
    retryEvenIfRetried: retries!.has('evenIfRetried') ? retries!.boolean('evenIfRetried', false) : null,
    idleTimeoutMs: istioDuration(timeouts!, 'idle'),
    maxStreamMs: istioDuration(timeouts!, 'maxStream'),
  };
}

function readPaths(spec: ObjectReader): string[] {
  const paths = spec.strings('healthPaths');
  if (paths.some((path) => !path.startsWith('/'))) spec.fail('healthPaths', 'must be paths that begin with /');
  return paths;
}

function readTargets(spec: ObjectReader, namespace: string): PolicyTarget[] {
  if (spec.list('targetRefs').length === 0) spec.fail('targetRefs', 'must name at least one target');
  return limited(spec, 'targetRefs', 16).map((one) => {
    one.only(['group', 'kind', 'name', 'sectionName']);
    const kind = one.oneOf('kind', ['Service', 'HTTPRoute', 'GRPCRoute', 'VirtualService']);
    const reference = readReference(one, namespace, '', targetGroups[kind]);
    if (reference.group !== targetGroups[kind]) {
      one.fail('group', `must be "${targetGroups[kind]}" for ${kind}, not "${reference.group}"`);
    }
    const sectionName = one.has('sectionName') ? one.string('sectionName') : null;
    if (sectionName !== null && kind === 'Service') one.fail('sectionName', 'must not stand beside a Service');
    return { ...reference, sectionName };
  });
}

// What the author of a Gateway may choose of its waypoint: the ConfigMap that `spec.infrastructure.parametersRef`
// names, with the keys and shapes of Istio's. Only what is listed here is taken. Whoever may make a Gateway must not
// get pods with volumes, programs or rights of his choice from the controller.

import { MeshError } from '../base/errors.ts';
import { didYouMean } from '../base/nearest-name.ts';
import {
  type Field,
  foreign,
  integer,
  list,
  mapping,
  object,
  oneOf,
  optional,
  readConfig,
  type Shape,
  type ShapeType,
  string,
} from '../config/schema.ts';
import { ownWaypointFields, waypointShape } from '../config/waypoint.ts';
import { readYaml } from '../config/yaml.ts';

export const waypointContainer = 'waypoint';
const replicasMax = 100;
const graceMaxSeconds = 3_600;

const metadata = object({ labels: mapping(string()), annotations: mapping(string()) });
const foreigners = optional(list(required(foreign())));
const portionPattern = { pattern: /^\d{1,3}%?$/, what: 'a whole number or a percentage' };
const portion: Field<string | number | undefined> = optional({
  read: (value, at) =>
    typeof value === 'number'
      ? integer({ min: 0, max: replicasMax }).read(value, at)
      : string('', portionPattern).read(value, at),
  fallback: undefined,
  isDuration: false,
  schema: {},
});
const quantities = optional(mapping(quantity()));

const container = object({
  // What Istio's users call it.
  name: oneOf([waypointContainer, 'istio-proxy']),
  resources: object({ requests: quantities, limits: quantities }),
});

const shapes = {
  deployment: {
    metadata,
    spec: object({
      replicas: optional(integer({ min: 0, max: replicasMax })),
      template: object({
        metadata,
        spec: object({
          containers: list(container, []),
          nodeSelector: optional(mapping(string())),
          tolerations: foreigners,
          affinity: foreign(),
          topologySpreadConstraints: foreigners,
          priorityClassName: optional(string()),
          runtimeClassName: optional(string()),
          terminationGracePeriodSeconds: optional(integer({ min: 0, max: graceMaxSeconds })),
          imagePullSecrets: optional(list(object({ name: string() }))),
        }),
      }),
    }),
  },
  service: {
    metadata,
    spec: object({
      trafficDistribution: optional(string()),
      internalTrafficPolicy: optional(string()),
      ipFamilyPolicy: optional(string()),
      ipFamilies: optional(list(string())),
    }),
  },
  serviceAccount: { metadata },
  podDisruptionBudget: {
    metadata,
    spec: object({
      minAvailable: portion,
      maxUnavailable: portion,
      unhealthyPodEvictionPolicy: optional(string()),
    }),
  },
  horizontalPodAutoscaler: {
    metadata,
    spec: object({
      minReplicas: optional(integer({ min: 1, max: replicasMax })),
      maxReplicas: integer({ min: 1, max: replicasMax }),
      metrics: foreigners,
      behavior: foreign(),
    }),
  },
} as const satisfies Record<string, Shape>;

type Shapes = typeof shapes;
type Part = keyof Shapes;
/** Of the waypoint's own file. */
const settingsKey = 'config';
const keys: readonly string[] = [...Object.keys(shapes), settingsKey];

/** What is chosen for each object; undefined where nothing is. */
export type WaypointParameters = { readonly [P in Part]?: ShapeType<Shapes[P]> } & {
  /** Further fields of the waypoint's file. */
  readonly config?: Readonly<Record<string, unknown>>;
};

/**
 * Reads the `data` of the ConfigMap called `title`.
 * @throws MeshError CONFIG_INVALID or INPUT_UNREADABLE with key, line and column of what is wrong.
 */
export function readWaypointParameters(data: Readonly<Record<string, unknown>>, title: string): WaypointParameters {
  const found: Record<string, unknown> = {};
  for (const [key, text] of Object.entries(data)) {
    const place = `${title} ${key}`;
    if (!keys.includes(key)) {
      throw new MeshError('CONFIG_INVALID', { place, reason: `${key} is no known key${didYouMean(key, keys)}` });
    }
    if (key === settingsKey) found[key] = settingsOf(String(text), place);
    else found[key] = readConfig(String(text), place, shapes[key as Part]);
  }
  const parameters = found as WaypointParameters;
  const { minAvailable, maxUnavailable } = parameters.podDisruptionBudget?.spec ?? {};
  if (minAvailable !== undefined && maxUnavailable !== undefined) {
    const place = `${title} podDisruptionBudget`;
    throw new MeshError('CONFIG_INVALID', { place, reason: 'spec has either minAvailable or maxUnavailable' });
  }
  return parameters;
}

/** As they were written: what is left out stays open. */
function settingsOf(text: string, place: string): Readonly<Record<string, unknown>> {
  const open = Object.entries(waypointShape).filter(([name]) => !ownWaypointFields.includes(name));
  const shape = Object.fromEntries(open.map(([name, field]) => [name, optional(field as Field<unknown>)]));
  readConfig(text, place, shape);
  const value = readYaml(text, place)[0]?.value;
  return (value ?? {}) as Readonly<Record<string, unknown>>;
}

function required<T>({ read, isDuration, schema }: Field<T | undefined>): Field<T> {
  return { read: read as Field<T>['read'], fallback: undefined, isDuration, schema };
}

/** Of CPU or memory; a bare number is one. */
function quantity(): Field<string> {
  const text = string(undefined, { pattern: /^\d+(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/, what: 'a quantity such as 100m' });
  return { ...text, read: (value, at) => text.read(typeof value === 'number' ? String(value) : value, at) };
}

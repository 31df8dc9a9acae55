// The HTTP probes of pods, as the kubelet makes them.
import type { PodLike } from './analyzed-mesh.ts';

export interface HttpProbe {
  readonly kind: 'readiness' | 'liveness' | 'startup';
  /** Without a query. */
  readonly path: string;
  /** A number, or the name of a container port. */
  readonly port: number | string;
}

const kinds = ['readiness', 'liveness', 'startup'] as const;

type Mapping = Readonly<Record<string, unknown>>;

/** The probes of all containers of a pod that ask by HTTP. */
export function probesOf({ resource }: PodLike): HttpProbe[] {
  const spec = mappingOf(resource.raw['spec']);
  const podSpec = resource.kind === 'Pod' ? spec : mappingOf(mappingOf(spec['template'])['spec']);
  const containers = Array.isArray(podSpec['containers']) ? podSpec['containers'].map(mappingOf) : [];
  return containers.flatMap((container) => kinds.flatMap((kind) => probeOf(container, kind)));
}

function probeOf(container: Mapping, kind: HttpProbe['kind']): HttpProbe[] {
  const get = mappingOf(mappingOf(container[`${kind}Probe`])['httpGet']);
  const { path = '/', port, scheme } = get;
  if (typeof path !== 'string' || scheme === 'HTTPS' || (typeof port !== 'number' && typeof port !== 'string'))
    return [];
  return [{ kind, path: path.split('?', 1)[0] || '/', port }];
}

/** The value as a mapping; an empty one for anything else. */
export function mappingOf(value: unknown): Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Mapping) : {};
}

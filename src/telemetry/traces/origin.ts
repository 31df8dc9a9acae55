// Whom a span says it is from, by OpenTelemetry's conventions for services and Kubernetes.
import { version } from '../../base/version.ts';
import type { Attributes, SpanOrigin } from './span.ts';

/** The conventions by which attributes are named. */
const schemaUrl = 'https://opentelemetry.io/schemas/1.30.0';

/** Who a proxy is; '' for what is not known. */
export interface OriginFacts {
  readonly service: string;
  readonly namespace: string;
  readonly pod: string;
  readonly node: string;
  readonly cluster: string;
  /** Of its workload: `k8s.deployment.name` and the like. */
  readonly workload: { readonly type: 'deployment' | 'daemonset'; readonly name: string };
}

/** The origin of all spans of a proxy. */
export function originOf({ service, namespace, pod, node, cluster, workload }: OriginFacts): SpanOrigin {
  const named: Attributes = {
    'service.name': service,
    'service.namespace': namespace,
    'service.instance.id': pod || node,
    'service.version': version,
    'k8s.cluster.name': cluster,
    'k8s.namespace.name': namespace,
    'k8s.pod.name': pod,
    'k8s.node.name': node,
    [`k8s.${workload.type}.name`]: workload.name,
  };
  const attributes = Object.fromEntries(Object.entries(named).filter(([, value]) => value !== ''));
  return { resource: { attributes, schemaUrl }, instrumentationScope: { name: 'ambient', version, schemaUrl } };
}

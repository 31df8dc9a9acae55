// Everything that is applied to a cluster, from one set of values: whoever prints or applies it takes it from here.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { projectFile } from '../base/project-files.ts';
import { readYaml } from '../config/yaml.ts';
import { controllerObjects } from './controller-objects.ts';
import { monitoringObjects } from './monitoring-objects.ts';
import { nodeObjects } from './node-objects.ts';
import { isPageOpen, pagePort } from './page-parts.ts';
import {
  controllerName,
  discoveryPort,
  gatewayClassName,
  type Manifest,
  metaOf,
  metricsPort,
  nodeName,
  readinessPort,
  selectorOf,
  webhookPort,
} from './parts.ts';
import type { InstallValues } from './values.ts';
import { classLabel, waypointProgram } from './waypoint-objects.ts';
import { webhookObjects } from './webhook-objects.ts';

/** More than a cluster can have. */
const criticalPodsMax = '1G';
const definitionsDir = projectFile('deploy/crds');

/** All objects, in the order in which they are applied. Throws CONFIG_INVALID for values that do not fit. */
export function installManifests(values: InstallValues): Manifest[] {
  return [
    ...definitions(),
    systemNamespace(values),
    ...(values.criticalPodsQuota.enabled ? [criticalPodsQuota(values)] : []),
    ...controllerObjects(values),
    ...nodeObjects(values),
    ...webhookObjects(values),
    ...(values.networkPolicies.enabled ? [networkPolicy(values)] : []),
    ...(values.podMonitors.enabled ? podMonitors(values) : []),
    ...monitoringObjects(values),
  ];
}

/** YAML with one document per object. */
export async function manifestsText(manifests: readonly Manifest[]): Promise<string> {
  const { stringify } = await import('yaml');
  return manifests.map((one) => `---\n${stringify(one, { lineWidth: 0, aliasDuplicateObjects: false })}`).join('');
}

/** The definitions of our own kinds, as they stand under deploy/crds. */
function definitions(): Manifest[] {
  return readdirSync(definitionsDir)
    .sort()
    .map((file) => readYaml(readFileSync(path.join(definitionsDir, file), 'utf8'), file)[0]!.value as Manifest);
}

/** The node proxies are on their node's network, which the strictest profile of a namespace would refuse. */
function systemNamespace({ namespace }: InstallValues): Manifest {
  const { name, labels } = metaOf(namespace, 'ambient');
  const modes = { 'ambient.mesh/dataplane-mode': 'none', 'pod-security.kubernetes.io/enforce': 'privileged' };
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: { ...labels, ...modes } } };
}

/** Outside of kube-system some clusters take pods of the two highest classes only where a quota names these. */
function criticalPodsQuota({ namespace }: InstallValues): Manifest {
  const values = ['system-node-critical', 'system-cluster-critical'];
  const scopeSelector = { matchExpressions: [{ scopeName: 'PriorityClass', operator: 'In', values }] };
  return {
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: metaOf('ambient-critical-pods', 'ambient', namespace),
    spec: { hard: { pods: criticalPodsMax }, scopeSelector },
  };
}

/** Proxies come from every node and namespace, so only ports are judged: not the admin port, and nothing new. */
function networkPolicy(values: InstallValues): Manifest {
  const { namespace } = values;
  const from = (ports: readonly number[]) => ({ ports: ports.map((port) => ({ protocol: 'TCP', port })) });
  const ingress = [
    from([discoveryPort, metricsPort, readinessPort]),
    ...(values.webhook.enabled ? [from([webhookPort])] : []),
    ...(isPageOpen(values) ? [from([pagePort])] : []),
  ];
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: metaOf(controllerName, controllerName, namespace),
    spec: { podSelector: { matchLabels: selectorOf(controllerName) }, policyTypes: ['Ingress'], ingress },
  };
}

/** By the port's number: node proxies name none. Waypoints are in every namespace, and known by their class. */
function podMonitors({ namespace, podMonitors }: InstallValues): Manifest[] {
  const labelled = ({ labels, ...meta }: Manifest['metadata']): Manifest['metadata'] => {
    return { ...meta, labels: { ...labels, ...podMonitors.labels } };
  };
  const own = [controllerName, nodeName].map((name) => ({ name, where: {}, matchLabels: selectorOf(name) }));
  const everywhere = { namespaceSelector: { any: true } };
  const waypoints = { name: waypointProgram, where: everywhere, matchLabels: { [classLabel]: gatewayClassName } };
  return [...own, waypoints].map(({ name, where, matchLabels }) => ({
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PodMonitor',
    metadata: labelled(metaOf(name, name, namespace)),
    spec: {
      ...where,
      selector: { matchLabels },
      podMetricsEndpoints: [{ portNumber: metricsPort, path: '/metrics' }],
    },
  }));
}

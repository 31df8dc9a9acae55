// What the objects of an installation have in common: names, labels, and how a program of ours stands in a pod.
import { createHash } from 'node:crypto';
import { version } from '../base/version.ts';
import { tracingCredentialsDir } from '../config/tracing.ts';
import type { InstallValues } from './values.ts';

/** An object as it is applied. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

export const controllerName = 'ambient-controller';
export const nodeName = 'ambient-node';
export const caSecretName = 'ambient-ca';
/** A ConfigMap with what verifies the controller and everybody in the mesh, which the leading controller keeps. */
export const rootsName = 'ambient-roots';
export const rootsKey = 'ca.crt';
export const leaseName = controllerName;
/** Of the GatewayClass that waypoints are asked for by. */
export const gatewayClassName = 'ambient-waypoint';
export const tokenAudience = 'ambient-controller';
export const discoveryPort = 15_012;
/** Which the API server calls; API servers of managed clusters need it open towards the nodes. */
export const webhookPort = 15_017;
export const metricsPort = 15_020;
export const readinessPort = 15_021;
export const configDir = '/etc/ambient';
/** Where `tokenVolume` is mounted. */
export const tokenDir = '/var/run/secrets/tokens';
const tokenSeconds = 3_600;
export const digestLength = 16;

/** By which the pods of a part are found. */
export const selectorOf = (name: string) => ({ 'app.kubernetes.io/name': name });

/** Metadata of an object of the system; of the whole cluster without a namespace. */
export function metaOf(name: string, part: string, namespace?: string): Manifest['metadata'] {
  const labels = {
    ...selectorOf(part),
    'app.kubernetes.io/version': version,
    'app.kubernetes.io/part-of': 'ambient',
  };
  return { name, ...(namespace === undefined ? {} : { namespace }), labels };
}

/** The ConfigMap of a program, whose file is JSON, and so YAML. */
export function configMapOf(name: string, { namespace }: InstallValues, config: unknown): Manifest {
  const data = { 'config.yaml': configText(config) };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: metaOf(name, name, namespace), data };
}

/** The text of a configuration file; equal for what is equal, and what helm's `toPrettyJson` makes of it. */
export function configText(config: unknown): string {
  const sorted = (_key: string, value: unknown): unknown =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value;
  const escaped = (found: string): string => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return `${JSON.stringify(config, sorted, 2).replaceAll(/[<>&\u2028\u2029]/g, escaped)}\n`;
}

/** An annotation of pods that changes with their configuration, so that others which have read it replace them. */
export function digestOf(config: unknown): Readonly<Record<string, string>> {
  const digest = createHash('sha256').update(configText(config)).digest('hex');
  return { 'ambient.mesh/config-digest': digest.slice(0, digestLength) };
}

/** The image that has every program. */
export const imageOf = ({ image }: InstallValues): string => `${image.repository}:${image.tag || version}`;

/** The image of a container, and where its node gets it from. */
export interface ImageUse {
  readonly image: string;
  readonly pullPolicy: string;
}

export const imageUseOf = (values: InstallValues): ImageUse => ({
  image: imageOf(values),
  pullPolicy: values.image.pullPolicy,
});

/** Image, probes and resources of a program's container; alive is who answers, ready who serves. */
export function containerOf(name: string, { image, pullPolicy }: ImageUse, { cpu, memory, memoryLimit }: Resources) {
  const probe = (path: string) => ({ httpGet: { path: `/healthz/${path}`, port: readinessPort } });
  const requests = { ...(cpu === '' ? {} : { cpu }), ...(memory === '' ? {} : { memory }) };
  return {
    name,
    image,
    imagePullPolicy: pullPolicy,
    command: [name],
    args: ['--config', `${configDir}/config.yaml`],
    readinessProbe: { ...probe('ready'), periodSeconds: 5 },
    livenessProbe: {
      ...probe('live'),
      initialDelaySeconds: 10,
      periodSeconds: 10,
      timeoutSeconds: 5,
      failureThreshold: 6,
    },
    // No limit of CPU: it would hold up every connection of a node for the rest of each period.
    resources: { requests, ...(memoryLimit === '' ? {} : { limits: { memory: memoryLimit } }) },
  };
}

export interface Resources {
  readonly cpu: string;
  readonly memory: string;
  readonly memoryLimit: string;
}

/** What the receiver of spans asks for: a Secret that may be missing, of the namespace of whoever sends them. */
export const tracingVolume = { name: 'tracing', secret: { secretName: 'ambient-tracing', optional: true } };
export const tracingMount = { name: tracingVolume.name, mountPath: tracingCredentialsDir, readOnly: true };

/** A token that is good for our controller alone. */
export const tokenVolume = {
  name: 'token',
  projected: {
    sources: [
      { serviceAccountToken: { audience: tokenAudience, expirationSeconds: tokenSeconds, path: 'ambient-token' } },
    ],
  },
};

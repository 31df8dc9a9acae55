// The environment of a container: what its spec says, fields of the pod, and what the built-in images want to know.
import { hostname } from 'node:os';
import type { Container, EnvVar, KubeObject, Pod } from './objects.ts';
import { podIps } from './objects.ts';
import { systemPath } from './tools.ts';

/** Looks up ConfigMaps and Secrets of the pod's namespace. */
export type Lookup = (kind: 'ConfigMap' | 'Secret', name: string) => KubeObject | undefined;

export interface EnvironmentInput {
  readonly pod: Pod;
  readonly container: Container;
  readonly lookup: Lookup;
  /** By container port: what a Service in front of it says about its protocol. */
  readonly appProtocols: ReadonlyMap<number, string>;
}

export type EnvironmentResult =
  | { readonly ok: true; readonly env: Record<string, string> }
  | { readonly ok: false; readonly reason: string };

/**
 * The whole environment of a container; nothing of the environment that started the lab but PATH, HOME and the
 * language.
 */
export function containerEnvironment(input: EnvironmentInput): EnvironmentResult {
  const { pod, container } = input;
  const env: Record<string, string> = {
    PATH: systemPath(),
    HOME: process.env.HOME ?? '/tmp',
    HOSTNAME: pod.spec.hostNetwork === true ? hostname() : hostnameOf(pod),
    ...(process.env.LANG === undefined ? {} : { LANG: process.env.LANG }),
    POD_NAME: pod.metadata.name,
    POD_NAMESPACE: pod.metadata.namespace ?? '',
    NODE_NAME: pod.spec.nodeName ?? '',
    SERVICE_ACCOUNT: pod.spec.serviceAccountName ?? 'default',
    POD_IPS: podIps(pod).join(','),
    PORTS: JSON.stringify(portsOf(input)),
  };
  for (const source of container.envFrom ?? []) {
    for (const [kind, reference] of [
      ['ConfigMap', source.configMapRef],
      ['Secret', source.secretRef],
    ] as const) {
      if (reference === undefined) continue;
      const object = input.lookup(kind, reference.name);
      if (object === undefined && reference.optional !== true)
        return { ok: false, reason: `${kind} ${reference.name} is not there` };
      for (const [key, value] of Object.entries(dataOf(object)))
        env[`${source.prefix ?? ''}${key}`] = value.toString('utf8');
    }
  }
  for (const variable of container.env ?? []) {
    const value = variableValue(variable, input);
    if (typeof value !== 'string') return { ok: false, reason: value.missing };
    env[variable.name] = expand(value, env);
  }
  return { ok: true, env };
}

/** The pod's host name, cut to what the kernel takes. */
export function hostnameOf(pod: Pod): string {
  const hostnameMax = 63;
  return (pod.spec.hostname ?? pod.metadata.name).slice(0, hostnameMax);
}

function portsOf({
  container,
  appProtocols,
}: EnvironmentInput): { name: string; containerPort: number; appProtocol: string }[] {
  return (container.ports ?? []).map(({ name = '', containerPort, appProtocol }) => ({
    name,
    containerPort,
    appProtocol: appProtocol ?? appProtocols.get(containerPort) ?? '',
  }));
}

function variableValue(variable: EnvVar, input: EnvironmentInput): string | { readonly missing: string } {
  const from = variable.valueFrom;
  if (from === undefined) return variable.value ?? '';
  if (from.fieldRef !== undefined) {
    const value = fieldOf(input.pod, from.fieldRef.fieldPath);
    return value ?? { missing: `${variable.name}: the lab knows no field '${from.fieldRef.fieldPath}'` };
  }
  for (const [kind, reference] of [
    ['ConfigMap', from.configMapKeyRef],
    ['Secret', from.secretKeyRef],
  ] as const) {
    if (reference === undefined) continue;
    const value = dataOf(input.lookup(kind, reference.name))[reference.key];
    if (value !== undefined) return value.toString('utf8');
    return reference.optional === true
      ? ''
      : { missing: `${variable.name}: ${kind} ${reference.name} has no key ${reference.key}` };
  }
  return { missing: `${variable.name}: valueFrom names nothing that the lab knows` };
}

/** The value of a downward-API field, or null for one that there is not. */
export function fieldOf(pod: Pod, fieldPath: string): string | null {
  const subscript = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(fieldPath);
  if (subscript !== null) return pod.metadata[subscript[1] as 'labels' | 'annotations']?.[subscript[2] as string] ?? '';
  const fields: Record<string, () => string> = {
    'metadata.name': () => pod.metadata.name,
    'metadata.namespace': () => pod.metadata.namespace ?? '',
    'metadata.uid': () => pod.metadata.uid ?? '',
    'metadata.labels': () => keyValueLines(pod.metadata.labels),
    'metadata.annotations': () => keyValueLines(pod.metadata.annotations),
    'spec.nodeName': () => pod.spec.nodeName ?? '',
    'spec.serviceAccountName': () => pod.spec.serviceAccountName ?? 'default',
    'status.podIP': () => pod.status.podIP ?? '',
    'status.podIPs': () => podIps(pod).join(','),
    'status.hostIP': () => pod.status.hostIP ?? '',
    'status.hostIPs': () => (pod.status.hostIPs ?? []).map((each) => each.ip).join(','),
  };
  return fields[fieldPath]?.() ?? null;
}

function keyValueLines(values: Readonly<Record<string, string>> = {}): string {
  return Object.entries(values)
    .map(([key, value]) => `${key}=${JSON.stringify(value)}\n`)
    .join('');
}

/** The keys of a ConfigMap or Secret as bytes. */
export function dataOf(object: KubeObject | undefined): Record<string, Buffer> {
  if (object === undefined) return {};
  const {
    data = {},
    stringData = {},
    binaryData = {},
  } = object as KubeObject & Record<'data' | 'stringData' | 'binaryData', Record<string, string> | undefined>;
  const encoded = object.kind === 'Secret' ? data : {};
  const plain = object.kind === 'Secret' ? stringData : data;
  const decoded = { ...encoded, ...binaryData };
  return {
    ...Object.fromEntries(Object.entries(decoded).map(([key, value]) => [key, Buffer.from(value, 'base64')])),
    ...Object.fromEntries(Object.entries(plain).map(([key, value]) => [key, Buffer.from(value, 'utf8')])),
  };
}

/**
 * `$(NAME)` becomes the value of an earlier variable; `$$(NAME)` is the text `$(NAME)`; an unknown name stays as it
 * is.
 */
export function expand(text: string, env: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$(\$)?\(([\w.-]+)\)/g, (whole, escaped: string | undefined, name: string) => {
    if (escaped !== undefined) return whole.slice(1);
    return env[name] ?? whole;
  });
}

/** What a program has that is run in a container or node from outside, beside the container's own. */
export function baseEnvironment(): Record<string, string> {
  const kept = ['HOME', 'TERM', 'LANG', 'USER'].flatMap((name) =>
    process.env[name] === undefined ? [] : [[name, process.env[name]]],
  );
  return { ...Object.fromEntries(kept), PATH: systemPath() };
}

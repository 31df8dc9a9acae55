// What may be chosen when Ambient is installed in a cluster: one typed object, with a default for everything.
import { MeshError } from '../base/errors.ts';
import { version } from '../base/version.ts';
import {
  boolean,
  type Field,
  integer,
  list,
  object,
  oneOf,
  type Position,
  readConfig,
  type ShapeType,
  string,
} from '../config/schema.ts';

type Fields = Readonly<Record<string, unknown>>;

const dns = {
  pattern: /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/,
  what: 'a name of lower-case letters, digits and -',
};
const domain = { pattern: /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/, what: 'a domain of lower-case letters' };
const notEmpty = { pattern: /^\S+$/, what: 'text without spaces' };
const quantity = { pattern: /^(\d+(\.\d+)?(m|k|M|G|Ki|Mi|Gi)?)?$/, what: 'a quantity such as 100m or 128Mi, or empty' };
const replicasMax = 16;

/** Fields of a program's configuration file, which that program's own schema judges. */
const settings: Field<Fields> = {
  read: (value: unknown, at: Position) => (isFields(value) ? value : at.fail('must be a mapping')),
  fallback: () => ({}),
  isDuration: false,
};

const resources = (cpu: string, memory: string, memoryLimit: string) =>
  object({ cpu: string(cpu, quantity), memory: string(memory, quantity), memoryLimit: string(memoryLimit, quantity) });

const shape = {
  /** The system's own namespace. */
  namespace: string('ambient-system', dns),
  image: object({
    repository: string('ambient', notEmpty),
    tag: string(version, notEmpty),
    pullPolicy: oneOf(['IfNotPresent', 'Always', 'Never'], 'IfNotPresent'),
    pullSecrets: list(string(undefined, dns), []),
  }),
  trustDomain: string('cluster.local', domain),
  clusterId: string('Kubernetes', notEmpty),
  clusterDomain: string('cluster.local', domain),
  controller: object({
    replicas: integer({ min: 1, max: replicasMax }, 1),
    /** 50,000 pods take under 700 MB (`npm run bench -- kube`). */
    resources: resources('100m', '256Mi', '1Gi'),
    /** Of docs/controller.md. */
    config: settings,
  }),
  node: object({
    /** 95 MB at rest, 108 MB with 9,000 connections, 248 MB in a mesh of 50,000 workloads (bench/README.md). */
    resources: resources('100m', '128Mi', '512Mi'),
    /** Of docs/node-proxy.md. */
    config: settings,
  }),
  /** A NetworkPolicy that lets the controller be reached where it has to be, and nowhere else. */
  networkPolicies: boolean(false),
  /** PodMonitors for the operator of Prometheus, which has to be there. */
  podMonitors: boolean(false),
};

export type InstallValues = ShapeType<typeof shape>;

/** Values in a file, and `PATH=VALUE` from a command line, the latter winning; either may be left out. */
export interface ValuesInput {
  readonly files?: readonly { readonly text: string; readonly file: string }[];
  readonly sets?: readonly string[];
}

/**
 * Reads values; what is left out has its default, and later ones win.
 * @throws MeshError CONFIG_INVALID or INPUT_UNREADABLE with a place, USAGE for what is no `PATH=VALUE`.
 */
export async function readValues({ files = [], sets = [] }: ValuesInput): Promise<InstallValues> {
  const { parse } = await import('yaml');
  let merged: Fields = {};
  for (const { text, file } of files) {
    readConfig(text, file, shape);
    merged = mergedFields(merged, (parse(text) ?? {}) as Fields);
  }
  for (const set of sets) {
    const at = set.indexOf('=');
    if (at < 1) throw new MeshError('USAGE', { reason: `--set '${set}' is not PATH=VALUE` });
    const value: unknown = parse(set.slice(at + 1));
    const one = set
      .slice(0, at)
      .split('.')
      .reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as Fields;
    readConfig(JSON.stringify(one), `--set ${set}`, shape);
    merged = mergedFields(merged, one);
  }
  return readConfig(JSON.stringify(merged), 'values', shape);
}

/** Mappings are merged, everything else is replaced. */
export function mergedFields(base: Fields, over: Fields): Fields {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const before = merged[key];
    merged[key] = isFields(before) && isFields(value) ? mergedFields(before, value) : value;
  }
  return merged;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

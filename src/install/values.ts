// What may be chosen when Ambient is installed in a cluster: one typed object, with a default for everything. Values,
// schema and templates of the chart, and the table of docs/install.md, are made of the shape here.
import { MeshError } from '../base/errors.ts';
import { controllerShape } from '../config/controller.ts';
import { nodeShape } from '../config/node.ts';
import {
  boolean,
  described,
  integer,
  list,
  mapping,
  object,
  oneOf,
  readConfig,
  type Shape,
  type ShapeType,
  someOf,
  string,
} from '../config/schema.ts';
import { ownWaypointFields, waypointShape } from '../config/waypoint.ts';
import { onceBoolean, presentValues } from './older-values.ts';

type Fields = Readonly<Record<string, unknown>>;

const dns = {
  pattern: /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/,
  what: 'a name of lower-case letters, digits and -',
};
const secretName = {
  pattern: /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/,
  what: 'a name of lower-case letters, digits, - and .',
};
const domain = { pattern: /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/, what: 'a domain of lower-case letters' };
const notEmpty = { pattern: /^\S+$/, what: 'text without spaces' };
const quantity = { pattern: /^(\d+(\.\d+)?(m|k|M|G|Ki|Mi|Gi)?)?$/, what: 'a quantity such as 100m or 128Mi, or empty' };
const runbook = 'https://ambient.mesh/docs/runbook';
const url = { pattern: /^https?:\/\/[^\s#]+$/, what: 'an http:// or https:// address without #' };
const labelValue = { pattern: /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/, what: 'the value of a label' };
const replicasMax = 16;

/** Fields of a program's configuration file that the installation itself chooses. */
const ofController = [
  'source',
  'sources',
  'trustDomain',
  'clusterId',
  'clusterDomain',
  'systemNamespace',
  'caDir',
  'serverNames',
  'waypoints',
  'webhook',
  'replicas',
];
const ofNode = [
  'nodeName',
  'trustDomain',
  'clusterId',
  'clusterDomain',
  'systemNamespace',
  'controllerUrl',
  'stateDir',
];

const settings = (shape: Shape, own: readonly string[]) => someOf(shape, own, 'is chosen by the installation');

const resources = (cpu: string, memory: string, memoryLimit: string) =>
  object({
    cpu: described("asked for; '' asks for none. There is no limit of CPU", string(cpu, quantity)),
    memory: described("asked for; '' asks for none", string(memory, quantity)),
    memoryLimit: described("the most that it may take; '' sets none", string(memoryLimit, quantity)),
  });

const switched = (what: string) => object({ enabled: described(what, boolean(false)) });

/** Every value; `described` says what the tables say. */
export const valuesShape = {
  namespace: described("the system's own namespace; with helm, its own `--namespace`", string('ambient-system', dns)),
  image: object({
    repository: described('one image has all programs', string('ambient', notEmpty)),
    tag: described("'' is the version of what installs it", string('', { ...notEmpty, pattern: /^\S*$/ })),
    pullPolicy: described('`Always` for a tag that moves', oneOf(['IfNotPresent', 'Always', 'Never'], 'IfNotPresent')),
    pullSecrets: described('names of Secrets in the namespace', list(string(undefined, dns), [])),
  }),
  trustDomain: described('of every identity; another one is another mesh', string('cluster.local', domain)),
  clusterId: described("the cluster's name towards proxies", string('Kubernetes', notEmpty)),
  clusterDomain: described("what services' names end in", string('cluster.local', domain)),
  controller: object({
    replicas: described(
      'from 2 on with a PodDisruptionBudget; all serve, one writes',
      integer({ min: 1, max: replicasMax }, 1),
    ),
    // 50,000 pods take under 700 MB (`npm run bench -- kube`).
    resources: resources('100m', '256Mi', '1Gi'),
    config: described('further fields of its file, see docs/controller.md', settings(controllerShape, ofController)),
  }),
  node: object({
    // 95 MB at rest, 108 MB with 9,000 connections, 248 MB in a mesh of 50,000 workloads (bench/README.md).
    resources: resources('100m', '128Mi', '512Mi'),
    captureBackend: described(
      "`pod` captures inside each pod's network, where the node sees nothing of it: takes more rights, docs/security.md",
      oneOf(['host', 'pod'], 'host'),
    ),
    config: described('further fields of its file, see docs/node-proxy.md', settings(nodeShape, ofNode)),
  }),
  waypoint: object({
    // 105 MB at rest (bench/README.md).
    resources: resources('100m', '128Mi', '512Mi'),
    config: described('further fields of their file, see docs/waypoint.md', settings(waypointShape, ownWaypointFields)),
  }),
  webhook: object({
    enabled: described('the API server asks the controller before it takes an object of the mesh', boolean(true)),
    failurePolicy: described(
      'while no controller answers: `Ignore` takes the object, `Fail` refuses it',
      oneOf(['Ignore', 'Fail'], 'Ignore'),
    ),
    timeoutSeconds: described('how long the API server waits for an answer', integer({ min: 1, max: 30 }, 5)),
  }),
  page: object({
    enabled: described('the live page of the controller, docs/live-page.md', boolean(true)),
    listen: described(
      '`loopback` is for `ambientctl dashboard` alone; `everywhere` adds a port to the Service `ambient-controller`',
      oneOf(['loopback', 'everywhere'], 'loopback'),
    ),
    names: described(
      'what browsers call it by when it listens everywhere, beside the Service',
      list(string(undefined, notEmpty), []),
    ),
    authSecret: described(
      'has lines of USER:PASSWORD under `password`, of tokens under `token`; without it nobody is let in from elsewhere',
      string('ambient-page', secretName),
    ),
    certificate: described(
      'when it listens everywhere: `own` is of the authority of the mesh, `secret` that of `tlsSecret`',
      oneOf(['own', 'secret'], 'own'),
    ),
    tlsSecret: described(
      'of type `kubernetes.io/tls`, as cert-manager makes it',
      string('ambient-page-tls', secretName),
    ),
  }),
  networkPolicies: onceBoolean(
    switched(
      'one for the controller: its ports for proxies, the API server, metrics, probes and the open page, and no others',
    ),
  ),
  podMonitors: onceBoolean(
    object({
      enabled: described(
        'for the Prometheus operator, 0.77 or newer, since node proxies name no ports',
        boolean(false),
      ),
      labels: described('what the operator selects them by, often `release`', mapping(string(undefined, labelValue))),
    }),
  ),
  dashboards: object({
    enabled: described('one ConfigMap for each dashboard of deploy/grafana', boolean(false)),
    labels: described(
      'what else your Grafana selects them by; `grafana_dashboard: "1"` is there',
      mapping(string(undefined, labelValue)),
    ),
  }),
  alerts: object({
    enabled: described(
      'a PrometheusRule with the alerts of docs/runbook.md, for the Prometheus operator',
      boolean(false),
    ),
    labels: described('what the operator selects it by, often `release`', mapping(string(undefined, labelValue))),
    runbookUrl: described('where your people read docs/runbook.md; alerts link to places on it', string(runbook, url)),
  }),
  criticalPodsQuota: switched('lets pods of the system be critical where only kube-system may have such, as on GKE'),
};

export type InstallValues = ShapeType<typeof valuesShape>;

/** Values in a file, and `PATH=VALUE` from a command line, the latter winning; either may be left out. */
export interface ValuesInput {
  readonly files?: readonly { readonly text: string; readonly file: string }[];
  readonly sets?: readonly string[];
  /** Told of each value of an older release that was read as what it is called today. */
  readonly note?: (text: string) => void;
}

/**
 * Reads values; what is left out has its default, and later ones win.
 * @throws MeshError CONFIG_INVALID or INPUT_UNREADABLE with a place, USAGE for what is no `PATH=VALUE`.
 */
export async function readValues({ files = [], sets = [], note = () => {} }: ValuesInput): Promise<InstallValues> {
  const { parse } = await import('yaml');
  let merged: Fields = {};
  for (const { text, file } of files) {
    readConfig(text, file, valuesShape);
    merged = mergedFields(
      merged,
      presentValues((parse(text) ?? {}) as Fields, (what) => note(`${file}: ${what}`)),
    );
  }
  for (const set of sets) {
    const at = set.indexOf('=');
    if (at < 1) throw new MeshError('USAGE', { reason: `--set '${set}' is not PATH=VALUE` });
    const value: unknown = parse(set.slice(at + 1));
    const one = set
      .slice(0, at)
      .split('.')
      .reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as Fields;
    readConfig(JSON.stringify(one), `--set ${set}`, valuesShape);
    merged = mergedFields(merged, presentValues(one, note));
  }
  return readConfig(JSON.stringify(merged), 'values', valuesShape);
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

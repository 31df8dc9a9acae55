// The configuration of the controller: one frozen object, read once at start.
import { readFileSync } from 'node:fs';
import { MeshError, messageOf } from '../base/errors.ts';
import { isLoopback } from '../base/ip.ts';
import { boolean, durationMs, list, object, oneOf, placeIn, port, readConfig, someOf, string } from './schema.ts';
import { ownWaypointFields, waypointShape } from './waypoint.ts';
import { placedError } from './yaml.ts';

export interface ControllerConfig {
  readonly listenHost: string;
  readonly ports: {
    readonly discovery: number;
    readonly admin: number;
    readonly metrics: number;
    readonly readiness: number;
    /** Opened where `webhook.configuration` is set. */
    readonly webhook: number;
    /** Opened unless `page.enabled` is false. */
    readonly page: number;
  };
  /** Where the mesh is read from: the folders in `sources`, or a cluster. */
  readonly source: 'folders' | 'kubernetes';
  /** Folders or files of manifests; each is watched. */
  readonly sources: readonly string[];
  readonly kubernetes: {
    /** '' for the cluster that the controller itself is a pod of. */
    readonly kubeconfig: string;
    /** Of the kubeconfig; '' for its current one. */
    readonly context: string;
    /** False: nothing is written into the cluster but the Secret of `caSecret`. */
    readonly writes: boolean;
  };
  readonly trustDomain: string;
  readonly clusterId: string;
  readonly clusterDomain: string;
  readonly systemNamespace: string;
  /**
   * Holds the root (`ca.key`, `ca.crt`) that is created at first start, or the one the operator brought (`tls.crt`,
   * `tls.key`, `ca.crt`).
   */
  readonly caDir: string;
  /**
   * Name of a Secret in the system namespace that the files of `caDir` are kept in, so that replicas share them; '' for
   * none.
   */
  readonly caSecret: string;
  /** Names and addresses of the discovery server's own certificate. */
  readonly serverNames: readonly string[];
  /** PEM file that the roots are written to, for proxies to verify the controller with; '' writes none. */
  readonly rootsFile: string;
  readonly auth: {
    /**
     * JWT issuer and the file with its public keys (JWKS); '' for both in a cluster, where its API server is asked
     * about tokens (TokenReview).
     */
    readonly issuer: string;
    readonly jwksFile: string;
    readonly audiences: readonly string[];
    /** `NAMESPACE/SERVICEACCOUNT`s that are node proxies. */
    readonly nodeAccounts: readonly string[];
  };
  /** The other replicas of this controller: its live page asks them for the proxies that are connected to them. */
  readonly replicas: {
    /** `NAMESPACE/SERVICEACCOUNT` that all of them run as; '' asks nobody and answers nobody. */
    readonly account: string;
    /** A token of this one, bound to its pod, for an audience of `auth.audiences`. */
    readonly tokenFile: string;
  };
  /** What waypoints are deployed with, for Gateways that ask for one; in a cluster that is written to. */
  readonly waypoints: {
    /** '' deploys none. */
    readonly image: string;
    readonly pullPolicy: (typeof pullPolicies)[number];
    /** Names of Secrets in the Gateway's namespace. */
    readonly pullSecrets: readonly string[];
    /** Quantities; '' leaves one out. */
    readonly resources: { readonly cpu: string; readonly memory: string; readonly memoryLimit: string };
    /** Further fields of the waypoint's own file. */
    readonly config: Readonly<Record<string, unknown>>;
  };
  readonly webhook: {
    /**
     * Name of the ValidatingWebhookConfiguration that is kept by this controller, which then is the webhook; '' for
     * none.
     */
    readonly configuration: string;
  };
  /** The live page: what the mesh does right now, read-only. */
  readonly page: {
    readonly enabled: boolean;
    /** Other than loopback asks for `passwordFile` or `tokenFile`. */
    readonly host: string;
    /** Names and addresses that browsers may call it by, beside `localhost` and loopback addresses. */
    readonly names: readonly string[];
    /**
     * File with a line `USER:PASSWORD`, or with a token, or ''. Read with each request, so that they can be changed.
     */
    readonly passwordFile: string;
    readonly tokenFile: string;
    /** `own`: HTTPS with a certificate of this authority; `files`: with that of the files, PEM. */
    readonly tls: (typeof pageTls)[number];
    readonly certificateFile: string;
    readonly keyFile: string;
  };
  readonly certificateTtlMs: number;
  readonly certificateTtlMaxMs: number;
  readonly log: { readonly level: string; readonly format: 'json' | 'text' };
}

const pageTls = ['off', 'own', 'files'] as const;
const pullPolicies = ['IfNotPresent', 'Always', 'Never'] as const;
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

const trustDomain = { pattern: /^[a-z0-9._-]{1,255}$/, what: 'a trust domain (lower-case letters, digits, dots)' };
const notEmpty = { pattern: /./, what: 'text that is not empty' };
const optionalAccount = { pattern: /^([^/\s]+\/[^/\s]+)?$/, what: 'NAMESPACE/SERVICEACCOUNT' };
const account = { pattern: /^[^/\s]+\/[^/\s]+$/, what: 'NAMESPACE/SERVICEACCOUNT' };

/** The fields of the file. */
export const controllerShape = {
  listenHost: string('0.0.0.0'),
  ports: object({
    discovery: port(15_012),
    admin: port(15_000),
    metrics: port(15_020),
    readiness: port(15_021),
    webhook: port(15_017),
    page: port(15_030),
  }),
  source: oneOf(['folders', 'kubernetes'], 'folders'),
  sources: list(string(undefined, notEmpty), []),
  kubernetes: object({ kubeconfig: string(''), context: string(''), writes: boolean(true) }),
  trustDomain: string('cluster.local', trustDomain),
  clusterId: string('Kubernetes', notEmpty),
  clusterDomain: string('cluster.local', notEmpty),
  systemNamespace: string('ambient-system', notEmpty),
  caDir: string(undefined, notEmpty),
  caSecret: string(''),
  serverNames: list(string(undefined, notEmpty), ['localhost', '127.0.0.1', '::1']),
  rootsFile: string(''),
  auth: object({
    issuer: string(''),
    jwksFile: string(''),
    audiences: list(string(undefined, notEmpty), ['ambient-controller', 'istio-ca']),
    nodeAccounts: list(string(undefined, account), ['ambient-system/ambient-node']),
  }),
  replicas: object({ account: string('', optionalAccount), tokenFile: string('') }),
  waypoints: object({
    image: string(''),
    pullPolicy: oneOf(pullPolicies, 'IfNotPresent'),
    pullSecrets: list(string(undefined, notEmpty), []),
    resources: object({ cpu: string(''), memory: string(''), memoryLimit: string('') }),
    config: someOf(waypointShape, ownWaypointFields, 'is chosen by the controller'),
  }),
  webhook: object({ configuration: string('') }),
  page: object({
    enabled: boolean(true),
    host: string('127.0.0.1', notEmpty),
    names: list(string(undefined, notEmpty), []),
    passwordFile: string(''),
    tokenFile: string(''),
    tls: oneOf(pageTls, 'off'),
    certificateFile: string(''),
    keyFile: string(''),
  }),
  certificateTtlMs: durationMs(dayMs),
  certificateTtlMaxMs: durationMs(90 * dayMs),
  log: object({
    level: oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal'], 'info'),
    format: oneOf(['json', 'text'], 'json'),
  }),
};

/**
 * Reads and checks the configuration in `file` (YAML). Every field has a default but `caDir` and, with
 * `source: folders`, `sources`, `auth.issuer` and `auth.jwksFile`.
 * Throws INPUT_UNREADABLE or CONFIG_INVALID, with file, line and column.
 */
export function readControllerConfig(file: string): ControllerConfig {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new MeshError('INPUT_UNREADABLE', { place: file, reason: messageOf(error) }, { cause: error });
  }
  const config: ControllerConfig = readConfig(text, file, controllerShape);
  if ((config.source === 'folders') !== config.sources.length > 0) {
    const reason = 'sources names at least one path with source: folders, and none with source: kubernetes';
    throw new MeshError('CONFIG_INVALID', { place: `${file}:1:1`, reason });
  }
  if (config.caSecret !== '' && config.source === 'folders') {
    throw new MeshError('CONFIG_INVALID', { place: `${file}:1:1`, reason: 'caSecret needs source: kubernetes' });
  }
  if (config.webhook.configuration !== '' && config.source === 'folders') {
    const reason = 'webhook.configuration needs source: kubernetes';
    throw new MeshError('CONFIG_INVALID', { place: `${file}:1:1`, reason });
  }
  const { issuer, jwksFile } = config.auth;
  if ((issuer === '') !== (jwksFile === '') || (issuer === '' && config.source === 'folders')) {
    const reason = 'auth names issuer and jwksFile; with source: kubernetes it may name neither';
    throw new MeshError('CONFIG_INVALID', { place: `${file}:1:1`, reason });
  }
  const { replicas } = config;
  if ((replicas.account === '') !== (replicas.tokenFile === '')) {
    const reason = 'replicas names both account and tokenFile, or neither';
    throw new MeshError('CONFIG_INVALID', { place: `${file}:1:1`, reason });
  }
  judgePage(config.page, (field, reason) => {
    throw placedError('CONFIG_INVALID', placeIn(text, file, ['page', field]), `page.${field} ${reason}`);
  });
  if (config.certificateTtlMs > config.certificateTtlMaxMs) {
    const reason = 'certificateTtlMs must not be above certificateTtlMaxMs';
    throw new MeshError('CONFIG_INVALID', { place: `${file}:1:1`, reason });
  }
  return config;
}

type PageConfig = ControllerConfig['page'];

/** Whoever is not on this machine has to say who they are, and over TLS, since what they say is worth stealing. */
function judgePage(page: PageConfig, refuse: (field: keyof PageConfig, reason: string) => never): void {
  const { host, passwordFile, tokenFile, tls, certificateFile, keyFile } = page;
  if (host !== 'localhost' && !isLoopback(host)) {
    if (passwordFile === '' && tokenFile === '') {
      refuse('host', `is ${host}, which others reach too: name a passwordFile or a tokenFile, or leave it 127.0.0.1`);
    }
    if (tls === 'off') refuse('host', `is ${host}: passwords would go there in the clear; set tls to own or files`);
  }
  if ((tls === 'files') !== (certificateFile !== '' && keyFile !== '')) {
    refuse('tls', 'is files together with certificateFile and keyFile, and with neither otherwise');
  }
}

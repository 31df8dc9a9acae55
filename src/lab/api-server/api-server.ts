// A Kubernetes API server in one process, over an `ObjectStore`: for tests of what talks to one, and for a lab that is
// looked at with kubectl.
//
//   const server = new ApiServer();
//   const { url, caPem, token } = await server.start();      // token: a cluster administrator's
//   … fetch(`${url}/api/v1/namespaces/default/pods?watch=1`, { headers: { authorization: `Bearer ${token}` } })
//   await server.close();
//
// What clients have to survive is made by `server.faults.add({ match: { verb: 'list' }, status: 429, retryAfterS: 1
// })`, `server.forgetHistory()`, `server.dropWatches()` and `await server.restart()`; `server.sendBookmarks()` is for
// tests that do not wait a minute. Objects may also be put into `server.store` directly, past every check.
import type { Server as HttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Clock, systemClock } from '../../base/clock.ts';
import { nodeHttps } from '../../base/node-http.ts';
import { issuerName, TokenIssuer } from '../issuer.ts';
import { ObjectStore } from '../store.ts';
import type { ContainerAccess } from './containers.ts';
import { DefinitionKeeper } from './crds.ts';
import { ApiCredentials, type KeyPairPem, kubeconfig, randomToken } from './credentials.ts';
import { Faults } from './faults.ts';
import { GarbageCollector } from './garbage.ts';
import { Handler } from './handler.ts';
import { History } from './history.ts';
import { Presenter } from './presenter.ts';
import { Rbac } from './rbac.ts';
import { Reader } from './reader.ts';
import { builtInTypes, ResourceRegistry, type ResourceType } from './resources.ts';
import { Reviews } from './reviews.ts';
import { type ClusterRules, defaultRules } from './rules.ts';
import { answerUpgrade, type PodDialer, type UpgradeParts } from './upgrades.ts';
import { Authenticator, mastersGroup, type UserInfo } from './users.ts';
import { Watch } from './watch.ts';
import { endpointAddress, type ServiceAddress, Webhooks } from './webhooks.ts';
import { type Admission, Writer } from './writer.ts';

/** A port (0: any free one), or a socket that listens already. */
export interface ListenAt {
  readonly host: string;
  readonly port?: number;
  readonly fd?: number;
}

export interface ApiServerOptions {
  /** Default: an own one, in memory. */
  readonly store?: ObjectStore;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** Where to be reached; the first is the one of `address()`. Default: a free port of 127.0.0.1. */
  readonly listen?: readonly ListenAt[];
  /** Names and addresses of the certificate, beside those of loopback. */
  readonly names?: readonly string[];
  /** Kinds beside the built-in ones, without definitions. */
  readonly extraTypes?: readonly ResourceType[];
  readonly rules?: ClusterRules;
  readonly issuer?: TokenIssuer;
  /** How webhooks behind services are reached. Default: by the EndpointSlices of the store. */
  readonly serviceAddress?: ServiceAddress;
  /** Where pods run: what `exec` and `log` of a pod reach. Default: nowhere. */
  readonly containers?: ContainerAccess;
  /** How ports of pods are reached. Default: not at all. */
  readonly portForward?: PodDialer;
  /** How many changes are remembered for watches and paged lists. */
  readonly historyMax?: number;
  readonly bookmarkMs?: number;
}

export interface ApiAddress {
  readonly url: string;
  readonly caPem: string;
  /** Of a user in `system:masters`, who may do everything. */
  readonly token: string;
}

const historyMaxDefault = 20_000;
const bookmarkMsDefault = 60_000;
const keepAliveMs = 65_000;
const loopbackNames = ['localhost', '127.0.0.1', '::1', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'];
const systemNamespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease'] as const;

/** Something that works on the store in the background. */
interface Keeper {
  close(): void;
}

interface Built {
  readonly handler: Handler;
  readonly keepers: readonly Keeper[];
  readonly upgrades: UpgradeParts;
}

/** One API server; `start` and `close` it. */
export class ApiServer {
  readonly store: ObjectStore;
  readonly faults: Faults;
  readonly credentials: ApiCredentials;
  readonly #options: ApiServerOptions;
  readonly #clock: Clock;
  readonly #history: History;
  readonly #handler: Handler;
  readonly #upgrades: UpgradeParts;
  readonly #watches = new Set<Watch>();
  readonly #token = randomToken();
  readonly #tokens: Map<string, UserInfo>;
  readonly #keepers: readonly Keeper[];
  readonly #listen: readonly ListenAt[];
  /** Connections that are no HTTP any more, which the servers do not know. */
  readonly #upgraded = new Set<Duplex>();
  #servers: readonly HttpsServer[] = [];
  #ports: readonly number[] = [];

  constructor(options: ApiServerOptions = {}) {
    this.#options = options;
    this.#listen = options.listen ?? [{ host: '127.0.0.1' }];
    this.#clock = options.clock ?? systemClock;
    const now = () => this.#clock.now();
    this.store = options.store ?? new ObjectStore({ dir: null, now });
    this.faults = new Faults(this.#clock);
    this.credentials = new ApiCredentials(Date.now());
    this.#history = new History(this.store, options.historyMax ?? historyMaxDefault);
    const admin = { username: 'ambient-admin', groups: [mastersGroup, 'system:authenticated'] };
    this.#tokens = new Map([[this.#token, admin]]);
    const { handler, keepers, upgrades } = this.#build(options, now);
    this.#handler = handler;
    this.#upgrades = upgrades;
    this.#keepers = keepers;
  }

  /** Serves, and resolves with where. Begins with the namespaces that every cluster has. */
  async start(): Promise<ApiAddress> {
    for (const name of systemNamespaces) this.#ensureNamespace(name);
    await this.#open();
    return this.address();
  }

  address(): ApiAddress {
    const host = this.#listen[0]?.host ?? '';
    const shown = host.includes(':') ? `[${host}]` : host;
    return { url: `https://${shown}:${this.#ports[0] ?? 0}`, caPem: this.credentials.caPem, token: this.#token };
  }

  /** Text of a kubeconfig for the administrator. */
  kubeconfig(name: string): string {
    return kubeconfig(name, this.address());
  }

  /** A new token of a user, for as long as the server lives. */
  addUser(user: UserInfo): string {
    const token = randomToken();
    this.#tokens.set(token, user);
    return token;
  }

  /** A certificate that makes its holder a user. */
  clientCertificate(user: string, groups: readonly string[]): KeyPairPem {
    return this.credentials.client(user, groups);
  }

  /** Watches from before now, and pages of lists that began before, are 410 Gone. */
  forgetHistory(): void {
    this.#history.forget();
  }

  /** Ends every watch, or those of one kind: in good order, or by cutting the connection. */
  dropWatches(plural?: string, how: 'end' | 'cut' = 'cut'): void {
    for (const watch of [...this.#watches]) {
      if (plural === undefined || watch.type.plural === plural) watch.close(how);
    }
  }

  /** A bookmark now, to every watch that wants them. */
  sendBookmarks(): void {
    for (const watch of this.#watches) watch.bookmark();
  }

  /** How many watches there are, of one kind or of all. */
  watchCount(plural?: string): number {
    return [...this.#watches].filter((watch) => plural === undefined || watch.type.plural === plural).length;
  }

  /** Cuts every connection and serves again at the same port; what happened before is forgotten. */
  async restart(downMs = 0): Promise<void> {
    await this.#shut();
    if (downMs > 0) await new Promise<void>((resolve) => this.#clock.after(downMs, resolve));
    this.#history.forget();
    await this.#open();
  }

  async close(): Promise<void> {
    this.faults.clear();
    await this.#shut();
    for (const keeper of this.#keepers) keeper.close();
    this.#history.close();
  }

  #build(options: ApiServerOptions, now: () => number): Built {
    const { store } = this;
    const random = options.random ?? Math.random;
    const rules = options.rules ?? defaultRules();
    const issuer = options.issuer ?? new TokenIssuer(store, now);
    const registry = new ResourceRegistry([...builtInTypes, ...(options.extraTypes ?? [])]);
    const reader = new Reader(store, this.#history);
    const authenticator = new Authenticator({ store, issuer, tokens: this.#tokens, audience: issuerName });
    const rbac = new Rbac(store);
    const presenter = new Presenter(rules.shown, now);
    const webhooks = new Webhooks(store, options.serviceAddress ?? endpointAddress(store));
    const admission: Admission = (...words) => webhooks.ask(...words);
    const writer = new Writer({ store, reader, rules, admission, now, random });
    const bookmarkMs = options.bookmarkMs ?? bookmarkMsDefault;
    const watchParts = { history: this.#history, reader, presenter, clock: this.#clock, bookmarkMs };
    const gone = (type: ResourceType) => this.dropWatches(type.plural, 'end');
    const keepers = [
      new GarbageCollector({ store, registry, writer }),
      new DefinitionKeeper({ store, registry, now, gone }),
    ];
    const handler = new Handler({
      registry,
      authenticator,
      rbac,
      reader,
      writer,
      reviews: new Reviews({ store, issuer, rbac, authenticator, audience: issuerName, now }),
      presenter,
      faults: this.faults,
      containers: options.containers ?? null,
      now,
      watch: (request, response) => {
        const watch = new Watch(watchParts, request, response, () => this.#watches.delete(watch));
        watch.start();
        this.#watches.add(watch);
      },
      jwks: () => issuer.jwks(),
      issuerUrl: issuerName,
    });
    const { containers = null, portForward = null } = options;
    const pod = (namespace: string, name: string) => reader.get(registry.byPath('', 'v1', 'pods')!, namespace, name);
    const upgrades = { userOf: handler.userOf.bind(handler), rbac, containers, portForward, pod };
    return { handler, keepers, upgrades };
  }

  #ensureNamespace(name: string): void {
    if (this.store.get('Namespace', '', name, '') === undefined) {
      const metadata = { name, labels: { 'kubernetes.io/metadata.name': name } };
      const rest = { spec: { finalizers: ['kubernetes'] }, status: { phase: 'Active' } };
      this.store.put({ apiVersion: 'v1', kind: 'Namespace', metadata, ...rest });
    }
  }

  async #open(): Promise<void> {
    const { certPem, keyPem } = this.credentials.server([...loopbackNames, ...(this.#options.names ?? [])]);
    const ca = this.credentials.caPem;
    const tls = { cert: certPem, key: keyPem, ca, requestCert: true, rejectUnauthorized: false };
    const servers: HttpsServer[] = [];
    this.#servers = servers;
    for (const [at, { host, port, fd }] of this.#listen.entries()) {
      const server = nodeHttps.createServer(tls, (incoming, response) => void this.#handler.handle(incoming, response));
      server.keepAliveTimeout = keepAliveMs;
      // A watch lasts as long as it likes.
      server.requestTimeout = 0;
      server.on('upgrade', (incoming, socket, head) => {
        this.#upgraded.add(socket);
        socket.on('close', () => this.#upgraded.delete(socket));
        answerUpgrade(this.#upgrades, incoming, socket, head);
      });
      server.on('tlsClientError', (_error, socket) => socket.destroy());
      server.on('clientError', (_error, socket) => socket.destroy());
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(fd === undefined ? { host, port: this.#ports[at] ?? port ?? 0 } : { fd }, resolve);
      });
      servers.push(server);
    }
    this.#ports = servers.map((server) => (server.address() as AddressInfo).port);
  }

  async #shut(): Promise<void> {
    const servers = this.#servers;
    this.#servers = [];
    this.dropWatches();
    for (const socket of this.#upgraded) socket.destroy();
    await Promise.all(
      servers.map(
        (server) =>
          new Promise<void>((resolve) => {
            server.close(() => resolve());
            server.closeAllConnections();
          }),
      ),
    );
  }
}

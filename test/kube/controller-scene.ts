// A whole controller and the API server that it works on, for tests: our own by default, with `npm run test:kube --
// --kubeconfig FILE` the one that the file leads to, in a namespace of the test's own.
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, type TestContext } from 'node:test';
import { parse } from 'yaml';
import type { Clock } from '../../src/base/clock.ts';
import type { ControllerConfig } from '../../src/config/controller.ts';
import { type Fixture, setUp } from '../../src/controller/testing-controller.ts';
import { ApiServer } from '../../src/lab/api-server/api-server.ts';
import { eventually, ok } from './api-case.ts';
import { type Answer, ApiClient, type Json } from './api-client.ts';
import { definitionsPath, foreignDefinitions } from './foreign-definitions.ts';
import { targetOfKubeconfig } from './kubeconfig.ts';

const file = process.env.AMBIENT_KUBECONFIG ?? '';
const crdFolder = path.join(import.meta.dirname, '../../deploy/crds');
const groups: Readonly<Record<string, readonly [groupVersion: string, plural: string]>> = {
  AuthorizationPolicy: ['security.istio.io/v1', 'authorizationpolicies'],
  TrafficPolicy: ['ambient.mesh/v1alpha1', 'trafficpolicies'],
  Gateway: ['gateway.networking.k8s.io/v1', 'gateways'],
  HTTPRoute: ['gateway.networking.k8s.io/v1', 'httproutes'],
};

/** Where an API server finds the webhook of this process. */
export const webhookHost = process.env.AMBIENT_WEBHOOK_HOST ?? '127.0.0.1';
/** A parent or target: the Service that every scene has. */
export const service = { group: '', kind: 'Service', name: 'pay' };

/** Its API server has the kinds of the mesh, a namespace `unique`, and the Service `pay` in it. */
export class ControllerScene {
  readonly unique = `ambient-test-${randomBytes(4).toString('hex')}`;
  /** What goes at the end, last first. */
  readonly #made: string[] = [];
  #server: ApiServer | null = null;
  #api: ApiClient | null = null;
  #kubeconfig = '';

  /** Makes the scene before the tests of a file, and takes it away after them. */
  static forFile(): ControllerScene {
    const scene = new ControllerScene();
    before(() => scene.#build());
    after(() => scene.#close());
    return scene;
  }

  get api(): ApiClient {
    return this.#api!;
  }

  /** Makes an object that goes at the end. */
  async make(list: string, object: Json): Promise<Json> {
    this.#made.unshift(`${list}/${object.metadata.name}`);
    return ok(await this.api.post(list, object), 201);
  }

  /** The list of a kind in the namespace. */
  listOf(kind: string): string {
    const [groupVersion, plural] = groups[kind]!;
    return `/apis/${groupVersion}/namespaces/${this.unique}/${plural}`;
  }

  objectOf(kind: string, name: string, spec: object, metadata: object = {}): Json {
    return { apiVersion: groups[kind]![0], kind, metadata: { name, ...metadata }, spec };
  }

  post(kind: string, name: string, spec: object, query = ''): Promise<Answer> {
    return this.api.post(`${this.listOf(kind)}${query}`, this.objectOf(kind, name, spec));
  }

  merge(kind: string, name: string, change: object): Promise<Answer> {
    return this.api.patch('merge', `${this.listOf(kind)}/${name}`, change);
  }

  /** A controller whose system namespace is that of the scene, until the test ends. */
  controller(context: TestContext, change: Partial<ControllerConfig> = {}, clock?: Clock): Promise<Fixture> {
    const auth = { issuer: '', jwksFile: '', audiences: ['ambient-controller'], nodeAccounts: ['a/b'] };
    const where = { listenHost: webhookHost, serverNames: [webhookHost], systemNamespace: this.unique };
    const prepare: Parameters<typeof setUp>[2] = ({ file: place }) =>
      writeFileSync(place('kubeconfig'), this.#kubeconfig);
    return setUp(context, { source: 'kubernetes', sources: [], auth, ...where, ...change }, prepare, clock);
  }

  async #build(): Promise<void> {
    if (file === '') {
      this.#server = new ApiServer();
      this.#api = new ApiClient(await this.#server.start());
      this.#kubeconfig = this.#server.kubeconfig('own');
    } else {
      this.#api = new ApiClient(targetOfKubeconfig(file));
      this.#kubeconfig = readFileSync(file, 'utf8');
    }
    const own = readdirSync(crdFolder).map((name) => parse(readFileSync(path.join(crdFolder, name), 'utf8')) as Json);
    for (const definition of [...foreignDefinitions, ...own] as Json[]) {
      const { status } = await this.api.get(`${definitionsPath}/${definition.metadata.name}`);
      if (status === 404) await this.make(definitionsPath, definition);
    }
    await this.make('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: this.unique } });
    const spec = { selector: { app: 'pay' }, ports: [{ port: 80 }] };
    const object = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'pay' }, spec };
    const services = `/api/v1/namespaces/${this.unique}/services`;
    await eventually(async () => void ok(await this.api.post(services, object), 201));
    for (const kind of Object.keys(groups)) {
      await eventually(async () => void ok(await this.api.get(`${this.listOf(kind)}?limit=1`)));
    }
  }

  async #close(): Promise<void> {
    for (const each of this.#made) await this.api.delete(each);
    this.api.close();
    await this.#server?.close();
  }
}

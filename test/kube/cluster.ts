// An API server for tests of the controller: our own in this process, or the one that AMBIENT_KUBECONFIG leads to.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parse } from 'yaml';
import { ApiClient } from '../../src/kube/api/api-client.ts';
import { failureOf } from '../../src/kube/api/api-error.ts';
import { kubeconfigAccess } from '../../src/kube/api/kubeconfig.ts';
import { ApiServer } from '../../src/lab/api-server/api-server.ts';
import type { Json } from './api-client.ts';
import { definitionsPath } from './foreign-definitions.ts';

const deadlineMs = 30_000;
const applyType = 'application/apply-patch+yaml';

interface Kubeconfig {
  readonly 'current-context': string;
  readonly contexts: readonly { readonly name: string; readonly context: { readonly user: string } }[];
  readonly users: { name: string; user: object }[];
}

/** A cluster as its administrator sees it; `close` takes away what was made. */
export class Cluster {
  /** Null for a real one. */
  readonly server: ApiServer | null;
  readonly admin: ApiClient;
  /** The file with which one is the administrator. */
  readonly adminKubeconfig: string;
  readonly unique = randomBytes(4).toString('hex');
  readonly #kubeconfig: Kubeconfig;
  readonly #dir = mkdtempSync(path.join(tmpdir(), 'ambient-cluster-'));
  readonly #made: string[] = [];

  private constructor(server: ApiServer | null, text: string) {
    this.server = server;
    this.#kubeconfig = parse(text) as Kubeconfig;
    this.adminKubeconfig = this.file('admin', text);
    this.admin = new ApiClient(kubeconfigAccess(this.adminKubeconfig, ''));
  }

  static async open(): Promise<Cluster> {
    const file = process.env.AMBIENT_KUBECONFIG ?? '';
    if (file !== '') return new Cluster(null, readFileSync(file, 'utf8'));
    const server = new ApiServer();
    await server.start();
    return new Cluster(server, server.kubeconfig('test'));
  }

  /** A file of the test's own. */
  file(name: string, text: string): string {
    const file = path.join(this.#dir, name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  }

  /** A folder of the test's own, not made yet. */
  folder(name: string): string {
    return path.join(this.#dir, name);
  }

  /** A kubeconfig with which one is a service account. */
  async kubeconfigOf(namespace: string, account: string): Promise<string> {
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
    const tokenPath = `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`;
    const { status } = (await this.admin.json({ method: 'POST', path: tokenPath, body })) as Json;
    const config = structuredClone(this.#kubeconfig);
    const { user } = config.contexts.find(({ name }) => name === config['current-context'])!.context;
    config.users.find(({ name }) => name === user)!.user = { token: status.token };
    return this.file(`${account}.kubeconfig`, JSON.stringify(config));
  }

  /** The object; null for none. */
  async get(objectPath: string): Promise<Json | null> {
    return await this.admin.json({ path: objectPath }).catch((error: unknown) => {
      if (failureOf(error)?.status === 404) return null;
      throw error;
    });
  }

  /** Makes an object that is taken away at the end; false when there was one already. */
  async create(collection: string, body: Json): Promise<boolean> {
    const objectPath = `${collection}/${body.metadata.name}`;
    try {
      await this.admin.json({ method: 'POST', path: collection, body });
    } catch (error) {
      if (failureOf(error)?.status === 409) return false;
      throw error;
    }
    this.takeAway(objectPath);
    return true;
  }

  /** A definition of a kind, unless there is one that stays. */
  async define(definition: Json): Promise<void> {
    await soon(async () => {
      if (await this.create(definitionsPath, definition)) return;
      const there = await this.get(`${definitionsPath}/${definition.metadata.name}`);
      assert.ok(there !== null && there.metadata.deletionTimestamp === undefined, 'the one before has not gone');
    });
  }

  /** What stands at a path goes at the end. */
  takeAway(objectPath: string): void {
    this.#made.unshift(objectPath);
  }

  /** Server-side apply as somebody else. */
  async apply(objectPath: string, body: Json): Promise<Json> {
    const query = { fieldManager: 'somebody', force: 'true' };
    return await this.admin.json({ method: 'PATCH', path: objectPath, query, contentType: applyType, body });
  }

  async merge(objectPath: string, body: Json): Promise<Json> {
    return await this.admin.json({
      method: 'PATCH',
      path: objectPath,
      contentType: 'application/merge-patch+json',
      body,
    });
  }

  async delete(objectPath: string): Promise<void> {
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background' };
    await this.admin.json({ method: 'DELETE', path: objectPath, body }).catch((error: unknown) => {
      if (failureOf(error)?.status !== 404) throw error;
    });
  }

  async close(): Promise<void> {
    if (this.server === null) for (const each of this.#made) await this.delete(each);
    await this.admin.close();
    await this.server?.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** Calls `check` until it does not throw any more; throws what it throws last. */
export async function soon<T>(check: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > deadline || !(error instanceof assert.AssertionError || failureOf(error) !== null)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

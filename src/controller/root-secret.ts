// The issuer as a Secret of the cluster, so that every replica has the same and a controller that is gone takes nothing
// along. The first replica makes it; an operator may bring it (`tls.crt`, `tls.key`, `ca.crt`, as cert-manager does).
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { MeshError } from '../base/errors.ts';
import { loadOrCreateIssuer } from '../identity/issuer-files.ts';
import type { ApiClient } from '../kube/api/api-client.ts';
import { failureOf } from '../kube/api/api-error.ts';
import { isMapping } from '../kube/object-reader.ts';

export interface RootSecretOptions {
  readonly api: ApiClient;
  readonly namespace: string;
  readonly name: string;
  /** Where the files are put that the authority reads; in memory, by the operator's choice. */
  readonly dir: string;
  readonly trustDomain: string;
}

const fileNames = ['ca.crt', 'tls.crt', 'ca.key', 'tls.key'] as const;
const ownNames = ['ca.crt', 'ca.key'] as const;
const triesMax = 3;

/** One Secret, and the folder that is as it is. */
export class RootSecret {
  readonly #options: RootSecretOptions;

  constructor(options: RootSecretOptions) {
    this.#options = options;
  }

  /**
   * Makes the folder as the Secret is; where there is no Secret, makes a root and the Secret from it. Throws what the
   * client throws, and CONFIG_INVALID for a Secret that is no issuer.
   */
  async fetch(nowMs: number): Promise<void> {
    for (let tries = 0; tries < triesMax; tries++) {
      const data = await this.#read();
      if (data !== null) {
        this.#write(data);
        return;
      }
      if (await this.#create(nowMs)) return;
    }
    throw new MeshError('CONFIG_INVALID', { place: this.title, reason: 'it comes and goes while it is read' });
  }

  /** For people. */
  get title(): string {
    return `Secret ${this.#options.namespace}/${this.#options.name}`;
  }

  get #path(): string {
    return `/api/v1/namespaces/${this.#options.namespace}/secrets`;
  }

  /** The files in it; null when there is no Secret. */
  async #read(): Promise<ReadonlyMap<string, Buffer> | null> {
    const { api, name } = this.#options;
    const answer = await api.json({ path: `${this.#path}/${name}` }).catch((error: unknown) => {
      if (failureOf(error)?.status === 404) return null;
      throw error;
    });
    if (answer === null) return null;
    const data = isMapping(answer) && isMapping(answer['data']) ? answer['data'] : {};
    const files = new Map<string, Buffer>();
    for (const file of fileNames) {
      const value = data[file];
      if (typeof value === 'string' && value !== '') files.set(file, Buffer.from(value, 'base64'));
    }
    if (!files.has('tls.key') && !files.has('ca.key')) {
      throw new MeshError('CONFIG_INVALID', { place: this.title, reason: 'it has neither tls.key nor ca.key' });
    }
    return files;
  }

  /** False when another replica was first. */
  async #create(nowMs: number): Promise<boolean> {
    const { api, name, namespace, dir, trustDomain } = this.#options;
    loadOrCreateIssuer(dir, trustDomain, nowMs);
    const data = Object.fromEntries(ownNames.map((file) => [file, readFileSync(path.join(dir, file), 'base64')]));
    const labels = { 'app.kubernetes.io/part-of': 'ambient', 'app.kubernetes.io/managed-by': 'ambient-controller' };
    const body = { apiVersion: 'v1', kind: 'Secret', type: 'Opaque', metadata: { name, namespace, labels }, data };
    try {
      await api.json({ method: 'POST', path: this.#path, body });
      return true;
    } catch (error) {
      if (failureOf(error)?.status === 409) return false;
      throw error;
    }
  }

  /** Certificates before keys, so that whoever reads meanwhile finds no key without its certificate. */
  #write(files: ReadonlyMap<string, Buffer>): void {
    const { dir } = this.#options;
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    for (const name of fileNames) {
      const file = path.join(dir, name);
      const content = files.get(name);
      if (content === undefined) rmSync(file, { force: true });
      else if (!isSame(file, content)) {
        const temporary = `${file}.${process.pid}`;
        writeFileSync(temporary, content, { mode: name.endsWith('.key') ? 0o600 : 0o644 });
        renameSync(temporary, file);
      }
    }
  }
}

function isSame(file: string, content: Buffer): boolean {
  try {
    return readFileSync(file).equals(content);
  } catch {
    return false;
  }
}

// The ConfigMaps that Gateways refer to for parameters. Of all ConfigMaps only names and versions are followed, and
// only once a Gateway refers to one; what it says is asked for when it is another one.
import { EventEmitter } from 'node:events';
import { messageOf } from '../base/errors.ts';
import type { ApiClient } from './api/api-client.ts';
import { failureOf } from './api/api-error.ts';
import type { Keep } from './api/json-pick.ts';
import type { KubeObject } from './api/prune.ts';
import { type ObjectChange, Reflector, type ReflectorTimes } from './api/reflector.ts';
import { pathOfWritten, writtenKinds } from './api/written-kinds.ts';
import { isMapping } from './object-reader.ts';

/** `absent`: there is no such ConfigMap. `unknown`: it has not been read yet, or could not be. */
export type ParameterMap =
  | { readonly what: 'read'; readonly data: Readonly<Record<string, unknown>> }
  | { readonly what: 'absent' }
  | { readonly what: 'unknown'; readonly reason: string };

export interface ParameterMapsOptions {
  readonly client: ApiClient;
  /** 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
  readonly times?: Partial<ReflectorTimes>;
}

export interface ParameterMapsEvents {
  /** One of those that are referred to says something else. */
  changed: [];
}

const retryMs = 5_000;
const kind = writtenKinds.find((one) => one.kind === 'ConfigMap')!;
/** The version, as something that a change is noticed by. */
const keep: Keep = (value) => {
  const { name, namespace, resourceVersion } = (value as KubeObject).metadata;
  return { metadata: { name, namespace }, version: resourceVersion };
};

/** Follows ConfigMaps by reference, from the first one on until `close`. */
export class ParameterMaps extends EventEmitter<ParameterMapsEvents> {
  readonly #options: ParameterMapsOptions;
  readonly #known = new Map<string, ParameterMap>();
  readonly #reading = new Set<string>();
  readonly #retries = new Set<NodeJS.Timeout>();
  #reflector: Reflector | null = null;
  #isClosed = false;

  constructor(options: ParameterMapsOptions) {
    super();
    this.#options = options;
  }

  /** All references there are, as `NAMESPACE/NAME`. */
  refer(ids: ReadonlySet<string>): void {
    for (const id of this.#known.keys()) if (!ids.has(id)) this.#known.delete(id);
    if (ids.size > 0 && this.#reflector === null) this.#follow();
    for (const id of ids) {
      if (this.#known.has(id)) continue;
      this.#known.set(id, { what: 'unknown', reason: 'it is being read' });
      void this.#read(id);
    }
  }

  /** What is known of one that is referred to. */
  get(id: string): ParameterMap {
    return this.#known.get(id) ?? { what: 'unknown', reason: 'it is being read' };
  }

  /** Resolves when nothing is under way any more; idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const retry of this.#retries) clearTimeout(retry);
    await this.#reflector?.close();
  }

  #follow(): void {
    const reflector = new Reflector({ ...this.#options, kind, keep, metadataOnly: true });
    reflector.on('changed', (change) => this.#take(change));
    reflector.start();
    this.#reflector = reflector;
  }

  #take({ upserts, deletes }: ObjectChange): void {
    const names = [...upserts.map(({ metadata }) => metadata), ...deletes];
    for (const { namespace = '', name } of names) {
      const id = `${namespace}/${name}`;
      if (this.#known.has(id)) void this.#read(id);
    }
  }

  async #read(id: string): Promise<void> {
    // What changes while it is read is asked for once more.
    if (this.#reading.has(id)) {
      this.#later(id, 0);
      return;
    }
    this.#reading.add(id);
    const found = await this.#ask(id);
    this.#reading.delete(id);
    const before = this.#known.get(id);
    if (this.#isClosed || before === undefined) return;
    if (found.what === 'unknown') this.#later(id, retryMs);
    // What it said last holds until it can be read again.
    const now = found.what === 'unknown' && before.what === 'read' ? before : found;
    if (JSON.stringify(now) === JSON.stringify(before)) return;
    this.#known.set(id, now);
    this.emit('changed');
  }

  async #ask(id: string): Promise<ParameterMap> {
    const [namespace = '', name = ''] = id.split('/');
    try {
      const object = await this.#options.client.json({ path: pathOfWritten('ConfigMap', namespace, name) });
      const data = isMapping(object) && isMapping(object['data']) ? object['data'] : {};
      return { what: 'read', data };
    } catch (error) {
      if (failureOf(error)?.status === 404) return { what: 'absent' };
      return { what: 'unknown', reason: messageOf(error) };
    }
  }

  #later(id: string, delayMs: number): void {
    const retry = setTimeout(() => {
      this.#retries.delete(retry);
      if (this.#known.has(id)) void this.#read(id);
    }, delayMs);
    this.#retries.add(retry);
  }
}

// Puts conditions into the `status` of objects, by server-side apply under a field manager of our own: only what is not
// there yet, a few at a time, and without touching what other controllers say in the same lists.
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import {
  type Condition,
  conditionTypes,
  controllerName,
  type ObjectStatus,
  type ParentStatus,
} from '../model/conditions.ts';
import { resourceKey } from '../model/resources.ts';
import type { ApiClient } from './api/api-client.ts';
import { failureOf } from './api/api-error.ts';
import { turnsOf } from './condition-turns.ts';
import type { ClusterEvent } from './event-writer.ts';
import { sorted } from './in-order.ts';
import { isMapping } from './object-reader.ts';

/** Where an object is, and as what it is written. */
export interface StatusPlace {
  readonly path: string;
  readonly apiVersion: string;
}

export interface StatusWriterOptions {
  readonly client: ApiClient;
  /** Null for an object of a kind that cannot be written now. */
  readonly place: (status: Pick<ObjectStatus, 'kind' | 'namespace' | 'name'>) => StatusPlace | null;
  readonly clock: Clock;
  /** Called when conditions of an object have turned bad, or good again. */
  readonly turned: (event: ClusterEvent) => void;
  /** Called for what cannot be written; it is tried again. */
  readonly trouble: (title: string, reason: string) => void;
}

export const fieldManager = 'ambient-controller';
const atOnceMax = 4;
const retryMs = 5_000;
/** Well below the 32,768 of Gateway API: etcd takes objects of 1.5 MiB, and a route may have many parents. */
const messageLengthMax = 4_096;
/** What Gateway API has room for, those of others included. */
const parentsMax = 32;
/** Lists of conditions that the API server merges by type; in all others, those of others are written along. */
const mergedGroups: readonly string[] = ['gateway.networking.k8s.io', 'ambient.mesh'];
type Fields = Readonly<Record<string, unknown>>;

/** Writes while it is on; what it wrote is looked at again when it is switched on again. */
export class StatusWriter {
  readonly #options: StatusWriterOptions;
  readonly #wanted = new Map<string, ObjectStatus>();
  /** What was last written, or found to stand there, by key. */
  readonly #written = new Map<string, string>();
  readonly #queue = new Set<string>();
  readonly #running = new Set<Promise<void>>();
  /** What failed, until it is tried again. */
  readonly #failed = new Set<string>();
  #isOn = false;
  #cancelRetry: (() => void) | null = null;

  constructor(options: StatusWriterOptions) {
    this.#options = options;
  }

  /** The statuses of all objects that have one. */
  update(statuses: Iterable<ObjectStatus>): void {
    const before = new Map(this.#wanted);
    this.#wanted.clear();
    for (const status of statuses) {
      const key = resourceKey(status);
      this.#wanted.set(key, status);
      before.delete(key);
      if (this.#written.get(key) !== textOf(status) && !this.#failed.has(key)) this.#queue.add(key);
    }
    for (const [key, { kind, namespace, name }] of before) {
      // Nobody speaks of it any more: what we said goes.
      this.#wanted.set(key, { kind, namespace, name, conditions: [], parents: [] });
      if (this.#written.get(key) === textOf(this.#wanted.get(key)!)) this.#wanted.delete(key);
      else if (!this.#failed.has(key)) this.#queue.add(key);
    }
    this.#work();
  }

  /** Begins to write everything that differs, or stops. */
  switch(isOn: boolean): void {
    if (isOn === this.#isOn) return;
    this.#isOn = isOn;
    if (!isOn) return;
    this.#written.clear();
    for (const key of this.#wanted.keys()) this.#queue.add(key);
    this.#work();
  }

  /** Resolves when nothing is under way any more. */
  async close(): Promise<void> {
    this.#isOn = false;
    this.#cancelRetry?.();
    await Promise.all(this.#running);
  }

  #work(): void {
    for (const key of this.#queue) {
      if (!this.#isOn || this.#running.size >= atOnceMax) return;
      this.#queue.delete(key);
      const job = this.#write(key).finally(() => {
        this.#running.delete(job);
        this.#work();
      });
      this.#running.add(job);
    }
  }

  async #write(key: string): Promise<void> {
    const status = this.#wanted.get(key);
    const place = status === undefined ? null : this.#options.place(status);
    if (status === undefined || place === null) return;
    try {
      await this.#apply(status, place);
      this.#written.set(key, textOf(status));
    } catch (error) {
      const code = failureOf(error)?.status;
      // It has gone meanwhile, or has no status to write.
      if (code === 404) this.#written.set(key, textOf(status));
      else if (code === 409) this.#queue.add(key);
      else {
        this.#options.trouble(`${status.kind} ${status.namespace}/${status.name}`, messageOf(error));
        this.#later(key, Math.max(retryMs, failureOf(error)?.retryAfterMs ?? 0));
      }
    }
  }

  async #apply(status: ObjectStatus, { path, apiVersion }: StatusPlace): Promise<void> {
    const { client, clock } = this.#options;
    const { kind, namespace, name } = status;
    const object = fieldsOf(await client.json({ path }));
    const metadata = fieldsOf(object['metadata']);
    const there = fieldsOf(object['status']);
    const isMerged = mergedGroups.includes(apiVersion.split('/', 1)[0]!);
    const stale = staleTypes(status, there, metadata, isMerged);
    const wanted = statusOf(status, there, { isMerged, stale, now: rfc3339(clock.now()) });
    if (stale.length === 0 && isThere(wanted, there)) return;
    const body = {
      apiVersion,
      kind,
      // Whoever writes in between makes this one fail, since the lists hold what others said.
      metadata: { name, ...(namespace === '' ? {} : { namespace }), resourceVersion: metadata['resourceVersion'] },
      status: wanted,
    };
    const query = { fieldManager, force: 'true' };
    const contentType = 'application/apply-patch+yaml';
    await client.json({ method: 'PATCH', path: `${path}/status`, query, contentType, body });
    const regarding = { apiVersion, kind, namespace, name, uid: String(metadata['uid'] ?? '') };
    for (const turn of turnsOf(status, there)) this.#options.turned({ regarding, ...turn });
  }

  #later(key: string, delayMs: number): void {
    this.#failed.add(key);
    this.#cancelRetry ??= this.#options.clock.after(delayMs, () => {
      this.#cancelRetry = null;
      for (const one of this.#failed) this.#queue.add(one);
      this.#failed.clear();
      this.#work();
    });
  }
}

interface Told {
  readonly isMerged: boolean;
  /** Types of conditions that go. */
  readonly stale: readonly unknown[];
  readonly now: string;
}

/** What the status shall say, with the times at which conditions became what they are. */
function statusOf(status: ObjectStatus, there: Fields, { isMerged, stale, now }: Told): Fields {
  const known = listOf(there['conditions']);
  const own = status.conditions.map((one) => timed(one, known, now));
  const isOther = (type: unknown): boolean => !stale.includes(type) && !own.some((one) => one.type === type);
  const others = isMerged ? [] : known.filter((one) => isOther(one['type']));
  const parentsThere = listOf(there['parents']);
  const parents = status.parents.map((parent) => {
    const before = parentsThere.find((one) => isSameParent(one, parent));
    const conditions = parent.conditions.map((one) => timed(one, listOf(before?.['conditions']), now));
    return { ...parent, conditions };
  });
  const otherParents = parentsThere.filter((one) => one['controllerName'] !== controllerName);
  const { addresses = [] } = status;
  const listenersThere = listOf(there['listeners']);
  const listeners = (status.listeners ?? []).map((listener) => {
    const before = listenersThere.find((one) => one['name'] === listener.name);
    const conditions = listener.conditions.map((one) => timed(one, listOf(before?.['conditions']), now));
    return { ...listener, conditions };
  });
  return {
    ...(own.length + others.length > 0 ? { conditions: [...others, ...own] } : {}),
    ...(parents.length > 0 || parentsThere.length > 0
      ? { parents: [...otherParents, ...parents].slice(0, parentsMax) }
      : {}),
    ...(addresses.length > 0 ? { addresses } : {}),
    ...(listeners.length > 0 ? { listeners } : {}),
  };
}

/**
 * Types of the conditions that stand there by our word, whoever of our replicas said it, and that are not wanted any
 * more. Where a list has one owner as a whole, ours are those that have our names.
 */
function staleTypes({ conditions }: ObjectStatus, there: Fields, metadata: Fields, isMerged: boolean): unknown[] {
  const own = listOf(metadata['managedFields']).find(
    (one) => one['manager'] === fieldManager && one['subresource'] === 'status',
  );
  const owned = fieldsOf(fieldsOf(fieldsOf(own?.['fieldsV1'])['f:status'])['f:conditions']);
  const isOurs = (type: unknown): boolean =>
    isMerged ? `k:${JSON.stringify({ type })}` in owned : conditionTypes.some((one) => one === type);
  if (own === undefined) return [];
  const types = listOf(there['conditions']).map((one) => one['type']);
  return types.filter((type) => isOurs(type) && !conditions.some((one) => one.type === type));
}

function timed({ observedGeneration, message, ...condition }: Condition, there: readonly Fields[], now: string) {
  const before = there.find((one) => one['type'] === condition.type && one['status'] === condition.status);
  const time = before?.['lastTransitionTime'];
  const generation = observedGeneration === null ? {} : { observedGeneration };
  const lastTransitionTime = typeof time === 'string' ? time : now;
  return { ...condition, message: shortened(message), ...generation, lastTransitionTime };
}

/** Code points count. */
function shortened(message: string): string {
  if (message.length <= messageLengthMax) return message;
  return `${[...message].slice(0, messageLengthMax - 1).join('')}…`;
}

function isSameParent(there: Fields, { controllerName: ours, parentRef }: ParentStatus): boolean {
  return there['controllerName'] === ours && sorted(there['parentRef']) === sorted(parentRef);
}

/** True when everything that is wanted stands there already, in lists whatever their order. */
function isThere(wanted: Fields, there: Fields): boolean {
  return Object.entries(wanted).every(([field, value]) => {
    const found = listOf(there[field]).map(sorted);
    const texts = listOf(value).map(sorted);
    const isWhole = field === 'conditions' || texts.length === found.length;
    return isWhole && texts.every((text) => found.includes(text));
  });
}

function textOf({ conditions, parents, addresses, listeners }: ObjectStatus): string {
  return JSON.stringify([conditions, parents, addresses, listeners]);
}

/** In whole seconds, as Kubernetes writes times. */
function rfc3339(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

function fieldsOf(value: unknown): Fields {
  return isMapping(value) ? value : {};
}

function listOf(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.filter(isMapping) : [];
}

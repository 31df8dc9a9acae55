// Events (events.k8s.io/v1) about objects of the cluster, which `kubectl describe` shows beside them. Written by the
// replica that leads; what is said again is counted on the Event that is there; a flood is cut.
import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { ApiClient } from './api/api-client.ts';
import { failureOf } from './api/api-error.ts';
import { isMapping } from './object-reader.ts';

/** What an Event is about. */
export interface EventObject {
  readonly apiVersion: string;
  readonly kind: string;
  /** '' for an object of the whole cluster. */
  readonly namespace: string;
  readonly name: string;
  /** '' where it is not known. */
  readonly uid: string;
}

export interface ClusterEvent {
  readonly regarding: EventObject;
  readonly type: 'Normal' | 'Warning';
  /** One word, such as `BackendNotFound`. */
  readonly reason: string;
  /** What was done with it, in a word. Default: Compile. */
  readonly action?: string;
  readonly note: string;
}

export interface EventWriterOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  /** Called for what cannot be written, and for how many were left out. */
  readonly trouble: (reason: string) => void;
}

const reportingController = 'ambient.mesh/controller';
/** Events in a row, and on average: more than a person reads. */
const burstMax = 25;
const everyMs = 2_000;
const queueMax = 256;
/** What was seen while another replica led counts as untold for so long: it may have died of it. */
const handoverMs = 30_000;
const noteCharsMax = 1_000;
const requestTimeoutMs = 5_000;
/** Names of Events have room for a digest behind the object's. */
const nameCharsMax = 230;

interface Queued {
  readonly event: ClusterEvent;
  readonly atMs: number;
  /** Another replica may have told it. */
  readonly isOld: boolean;
}

/** Writes while it is on. */
export class EventWriter {
  readonly #options: EventWriterOptions;
  readonly #queue = new Map<string, Queued>();
  #isOn = false;
  #isWorking: Promise<void> | null = null;
  /** When the next Event may be written if nothing was saved up. */
  #freeAtMs = 0;
  #left = 0;
  #complaint = '';
  #cancel: (() => void) | null = null;

  constructor(options: EventWriterOptions) {
    this.#options = options;
  }

  /** Tells an Event, soon. While this replica does not lead, it is kept for the case that it has to. */
  tell(event: ClusterEvent): void {
    const atMs = this.#options.clock.now();
    const name = eventName(event);
    if (!this.#queue.has(name) && this.#queue.size >= queueMax) {
      this.#left++;
      return;
    }
    this.#queue.delete(name);
    this.#queue.set(name, { event, atMs, isOld: !this.#isOn });
    if (this.#isOn) this.#work();
    else this.#forget(atMs);
  }

  /** Begins to write, or stops. */
  switch(isOn: boolean): void {
    if (isOn === this.#isOn) return;
    this.#isOn = isOn;
    if (!isOn) return;
    this.#forget(this.#options.clock.now());
    this.#work();
  }

  /** Resolves when nothing is under way any more. */
  async close(): Promise<void> {
    this.#isOn = false;
    this.#cancel?.();
    await this.#isWorking;
  }

  #forget(nowMs: number): void {
    for (const [name, { atMs }] of this.#queue) {
      if (nowMs - atMs <= handoverMs) return;
      this.#queue.delete(name);
    }
  }

  #work(): void {
    this.#isWorking ??= this.#writeAll().finally(() => {
      this.#isWorking = null;
    });
  }

  async #writeAll(): Promise<void> {
    const { clock, trouble } = this.#options;
    for (const [name, { event, isOld }] of this.#queue) {
      if (!this.#isOn) return;
      const waitMs = this.#freeAtMs - clock.now() - (burstMax - 1) * everyMs;
      if (waitMs > 0) return this.#later(waitMs);
      this.#queue.delete(name);
      this.#freeAtMs = Math.max(this.#freeAtMs, clock.now()) + everyMs;
      try {
        await this.#write(name, event, isOld);
        this.#complaint = '';
      } catch (error) {
        const complaint = messageOf(error);
        if (complaint !== this.#complaint) trouble(complaint);
        this.#complaint = complaint;
      }
    }
    if (this.#left > 0) trouble(`${this.#left} were left out: more than ${queueMax} came at once`);
    this.#left = 0;
  }

  #later(delayMs: number): void {
    this.#cancel?.();
    this.#cancel = this.#options.clock.after(delayMs, () => this.#work());
  }

  /** Makes the Event, or counts one more on it. Throws what the client throws. */
  async #write(name: string, event: ClusterEvent, isOld: boolean): Promise<void> {
    const { client, clock } = this.#options;
    const { regarding, type, reason, action = 'Compile', note } = event;
    const namespace = regarding.namespace === '' ? 'default' : regarding.namespace;
    const path = `/apis/events.k8s.io/v1/namespaces/${namespace}/events`;
    const time = new Date(clock.now()).toISOString().replace('Z', '000Z');
    const object = Object.fromEntries(Object.entries(regarding).filter(([, value]) => value !== ''));
    const body = {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name, namespace },
      eventTime: time,
      reportingController,
      reportingInstance: hostname().slice(0, 128),
      action,
      regarding: object,
      type,
      reason,
      note: note.slice(0, noteCharsMax),
    };
    try {
      await client.json({ method: 'POST', path, body, timeoutMs: requestTimeoutMs });
    } catch (error) {
      const status = failureOf(error)?.status;
      // Nothing is written into a namespace that has gone, or is about to.
      if (status === 404 || /being terminated/.test(messageOf(error))) return;
      if (status !== 409) throw error;
      if (!isOld) await this.#countOn(`${path}/${name}`, time);
    }
  }

  async #countOn(path: string, lastObservedTime: string): Promise<void> {
    const { client } = this.#options;
    const there = await client.json({ path, timeoutMs: requestTimeoutMs });
    const series = isMapping(there) && isMapping(there['series']) ? there['series'] : {};
    const count = (typeof series['count'] === 'number' ? series['count'] : 1) + 1;
    const body = { series: { count, lastObservedTime } };
    const contentType = 'application/merge-patch+json';
    await client.json({ method: 'PATCH', path, contentType, body, timeoutMs: requestTimeoutMs });
  }
}

/** The name of its object: the same words about the same object are the same Event, also for the next replica. */
export function eventName({ regarding, type, reason, note }: ClusterEvent): string {
  const digest = createHash('sha256')
    .update(JSON.stringify([regarding, type, reason, note]))
    .digest('hex');
  return `${regarding.name.slice(0, nameCharsMax)}.${digest.slice(0, 16)}`;
}

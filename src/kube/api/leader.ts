// Which of several replicas does what only one may do: the holder of a Lease (coordination.k8s.io/v1). Whoever has not
// heard of the holder for the length of a lease, by its own clock, takes it; clocks of others do not matter.
import { EventEmitter } from 'node:events';
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import { isMapping } from '../object-reader.ts';
import type { ApiClient } from './api-client.ts';
import { failureOf } from './api-error.ts';

export interface LeaderEvents {
  /** This replica leads from now on, or does not any more. */
  leading: [boolean];
  /** The Lease cannot be had, and why; once for each reason. */
  trouble: [string];
}

export interface LeaderOptions {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly name: string;
  /** Another one in each replica. */
  readonly identity: string;
  readonly clock: Clock;
  /** 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
}

const leaseMs = 15_000;
/** A leader that could not renew for so long stops leading, well before another one may begin. */
const giveUpMs = 10_000;
const renewMs = 4_000;
const requestTimeoutMs = 4_000;

type Fields = Readonly<Record<string, unknown>>;

/** Competes for one Lease from `start` to `close`. */
export class LeaderElection extends EventEmitter<LeaderEvents> {
  readonly #options: LeaderOptions;
  #isLeading = false;
  /** What the Lease said last, and when it first said so. */
  #seen = { text: '', sinceMs: 0 };
  #trouble = '';
  #cancel: (() => void) | null = null;
  #deadline: (() => void) | null = null;
  #working: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: LeaderOptions) {
    super();
    this.#options = options;
  }

  get isLeading(): boolean {
    return this.#isLeading;
  }

  start(): void {
    this.#working = this.#turn();
  }

  /** Gives the Lease back when it is ours, so that another replica need not wait; idempotent. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancel?.();
    this.#deadline?.();
    await this.#working;
    const wasLeading = this.#isLeading;
    this.#become(false);
    if (wasLeading) await this.#release().catch(() => undefined);
  }

  async #turn(): Promise<void> {
    const { clock, random } = this.#options;
    try {
      const isOurs = await this.#take();
      this.#trouble = '';
      if (isOurs) this.#renewed();
      else this.#become(false);
    } catch (error) {
      const trouble = messageOf(error);
      if (trouble !== this.#trouble) this.emit('trouble', trouble);
      this.#trouble = trouble;
    }
    if (this.#isClosed) return;
    this.#cancel = clock.after(renewMs * (1 - 0.2 * random()), () => {
      this.#working = this.#turn();
    });
  }

  /** True when the Lease is ours now. Throws what the client throws. */
  async #take(): Promise<boolean> {
    const { client, identity, clock } = this.#options;
    const startedMs = clock.now();
    const lease = await client.json({ path: this.#path(), timeoutMs: requestTimeoutMs }).catch((error: unknown) => {
      if (failureOf(error)?.status === 404) return null;
      throw error;
    });
    const now = new Date(startedMs).toISOString().replace('Z', '000Z');
    const mine = { holderIdentity: identity, leaseDurationSeconds: leaseMs / 1000, renewTime: now };
    const spec = specOf(lease);
    if (lease === null) return this.#write('POST', {}, { ...mine, acquireTime: now, leaseTransitions: 0 });
    if (spec['holderIdentity'] === identity) return this.#write('PUT', lease, { ...spec, ...mine });
    const text = JSON.stringify(spec);
    if (text !== this.#seen.text) this.#seen = { text, sinceMs: startedMs };
    const isFree = !spec['holderIdentity'] || startedMs - this.#seen.sinceMs >= leaseMs;
    if (!isFree) return false;
    const leaseTransitions = Number(spec['leaseTransitions'] ?? 0) + 1;
    return this.#write('PUT', lease, { ...mine, acquireTime: now, leaseTransitions });
  }

  /** False when another replica wrote in between. */
  async #write(method: 'POST' | 'PUT', lease: unknown, spec: Fields): Promise<boolean> {
    const { client, namespace, name } = this.#options;
    const metadata = isMapping(lease) && isMapping(lease['metadata']) ? lease['metadata'] : { name, namespace };
    const body = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec };
    try {
      await client.json({ method, path: this.#path(method === 'POST'), body, timeoutMs: requestTimeoutMs });
      return true;
    } catch (error) {
      if (failureOf(error)?.status === 409) return false;
      throw error;
    }
  }

  async #release(): Promise<void> {
    const lease = await this.#options.client.json({ path: this.#path(), timeoutMs: requestTimeoutMs });
    const spec = specOf(lease);
    if (spec['holderIdentity'] === this.#options.identity)
      await this.#write('PUT', lease, { ...spec, holderIdentity: '' });
  }

  #renewed(): void {
    const { clock } = this.#options;
    this.#deadline?.();
    this.#deadline = clock.after(giveUpMs, () => this.#become(false));
    this.#become(true);
  }

  #become(isLeading: boolean): void {
    if (isLeading === this.#isLeading || (isLeading && this.#isClosed)) return;
    this.#isLeading = isLeading;
    this.emit('leading', isLeading);
  }

  #path(isList = false): string {
    const { namespace, name } = this.#options;
    return `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases${isList ? '' : `/${name}`}`;
  }
}

function specOf(lease: unknown): Fields {
  return isMapping(lease) && isMapping(lease['spec']) ? lease['spec'] : {};
}

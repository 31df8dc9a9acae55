// What the controller writes into its cluster, by one replica at a time: conditions of routes, policies and gateways.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Clock } from '../base/clock.ts';
import type { ApiClient } from '../kube/api/api-client.ts';
import { LeaderElection } from '../kube/api/leader.ts';
import { type StatusPlace, StatusWriter } from '../kube/status-writer.ts';
import type { ObjectStatus } from '../model/conditions.ts';
import type { Logger } from '../telemetry/logger.ts';

/** Something that one replica does at a time. */
export interface LeaderJob {
  /** Begins, or stops. */
  switch(isOn: boolean): void;
  /** Resolves when nothing is under way any more. */
  close(): Promise<void>;
}

export interface ClusterWritesOptions {
  readonly api: ApiClient;
  /** Of the system: that is where the Lease is. */
  readonly namespace: string;
  readonly place: (kind: string, namespace: string, name: string) => StatusPlace | null;
  /** The statuses of all objects, as of now. */
  readonly statuses: () => Iterable<ObjectStatus>;
  /** What else the leader does. */
  readonly jobs: readonly ((api: ApiClient) => LeaderJob)[];
  readonly clock: Clock;
  readonly log: Logger;
}

const leaseName = 'ambient-controller';
/** Changes that come together are written together. */
const gatherMs = 500;

/** Competes for the Lease, and writes while it has it. */
export class ClusterWrites {
  readonly #options: ClusterWritesOptions;
  readonly #leader: LeaderElection;
  readonly #writer: StatusWriter;
  readonly #jobs: readonly LeaderJob[];
  #cancel: (() => void) | null = null;
  #isClosed = false;

  constructor(options: ClusterWritesOptions) {
    const { api: client, namespace, place, clock, log } = options;
    this.#options = options;
    this.#writer = new StatusWriter({
      client,
      clock,
      place: (object) => place(object.kind, object.namespace, object.name),
      trouble: (resource, reason) => log.warn({ resource, reason }, 'cannot write a status; it is tried again'),
    });
    this.#jobs = [this.#writer, ...options.jobs.map((make) => make(client))];
    const identity = `${hostname()}_${randomUUID()}`;
    this.#leader = new LeaderElection({ client, namespace, name: leaseName, identity, clock, random: Math.random });
    this.#leader.on('leading', (isLeading) => {
      log.info(
        { lease: leaseName, isLeading },
        isLeading ? 'this replica leads' : 'this replica does not lead any more',
      );
      for (const job of this.#jobs) job.switch(isLeading);
    });
    this.#leader.on('trouble', (reason) => log.warn({ lease: leaseName, reason }, 'the lease cannot be had'));
  }

  start(): void {
    this.#leader.start();
  }

  /** Something was compiled: statuses may be others. */
  changed(): void {
    if (this.#isClosed) return;
    this.#cancel ??= this.#options.clock.after(gatherMs, () => {
      this.#cancel = null;
      this.#writer.update(this.#options.statuses());
    });
  }

  /** Resolves when the Lease has been given back. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancel?.();
    await Promise.all(this.#jobs.map((job) => job.close()));
    await this.#leader.close();
  }
}

// What the controller writes into its cluster, by one replica at a time: conditions of routes, policies and gateways,
// and the objects that it makes.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Clock } from '../base/clock.ts';
import { leaseName } from '../install/parts.ts';
import type { WaypointSettings } from '../install/waypoint-objects.ts';
import type { ApiClient } from '../kube/api/api-client.ts';
import { LeaderElection } from '../kube/api/leader.ts';
import { apiVersionOf, pathOfWritten } from '../kube/api/written-kinds.ts';
import { type ClusterEvent, EventWriter } from '../kube/event-writer.ts';
import { ObjectKeeper } from '../kube/object-keeper.ts';
import { ParameterMaps } from '../kube/parameter-maps.ts';
import { type StatusPlace, StatusWriter } from '../kube/status-writer.ts';
import { WrittenObjects } from '../kube/written-objects.ts';
import type { ObjectStatus } from '../model/conditions.ts';
import type { GatewayResource } from '../model/resources.ts';
import type { Logger } from '../telemetry/logger.ts';
import { WaypointDeployer } from './waypoint-deployer.ts';
import { WebhookBundle } from './webhook-bundle.ts';

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
  /** Every Gateway that asks for a waypoint, or might have. */
  readonly gateways: () => readonly GatewayResource[];
  /** What waypoints are deployed with; null deploys none. */
  readonly waypoints: WaypointSettings | null;
  /** What verifies the mesh, one PEM each, as of now. */
  readonly rootsPem: () => readonly string[];
  /** Name of the ValidatingWebhookConfiguration that is kept; '' for none. */
  readonly webhook: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Changes that come together are written together. */
const gatherMs = 500;

/** Competes for the Lease, and writes while it has it. */
export class ClusterWrites {
  readonly #options: ClusterWritesOptions;
  readonly #leader: LeaderElection;
  readonly #writer: StatusWriter;
  readonly #events: EventWriter;
  /** Of what this replica alone has seen, whether it leads or not. */
  readonly #ownEvents: EventWriter;
  readonly #there: WrittenObjects;
  readonly #keeper: ObjectKeeper;
  readonly #parameters: ParameterMaps;
  readonly #deployer: WaypointDeployer;
  readonly #jobs: LeaderJob[];
  #cancel: (() => void) | null = null;
  /** The mesh is known. */
  #isCompiled = false;
  #isClosed = false;

  constructor(options: ClusterWritesOptions) {
    const { api: client, namespace, waypoints: settings, place, clock, log } = options;
    this.#options = options;
    const trouble = (reason: string) => log.warn({ reason }, 'cannot write Events');
    this.#events = new EventWriter({ client, clock, trouble });
    this.#ownEvents = new EventWriter({ client, clock, trouble });
    this.#writer = new StatusWriter({
      client,
      clock,
      place: ({ kind, namespace: within, name }) =>
        kind === 'GatewayClass'
          ? { path: pathOfWritten(kind, '', name), apiVersion: apiVersionOf(kind) }
          : place(kind, within, name),
      turned: (event) => this.tell(event),
      trouble: (resource, reason) => log.warn({ resource, reason }, 'cannot write a status; it is tried again'),
    });
    this.#there = new WrittenObjects({ client, random: Math.random });
    this.#there.on('trouble', (kind, reason) => log.warn({ kind, reason }, 'cannot see who edits what was made'));
    this.#keeper = new ObjectKeeper({
      client,
      clock,
      there: this.#there,
      problem: (set, problem) => {
        if (problem !== null) log.warn({ set, reason: problem.message }, 'cannot make an object; it is tried again');
        this.changed();
      },
    });
    this.#parameters = new ParameterMaps({ client, random: Math.random });
    const parts = { there: this.#there, keeper: this.#keeper, parameters: this.#parameters };
    this.#deployer = new WaypointDeployer({ namespace, settings, ...parts });
    this.#there.on('changed', () => this.changed());
    this.#parameters.on('changed', () => this.changed());
    this.#jobs = [this.#writer, this.#events, this.#keeper];
    const { webhook: name, rootsPem } = options;
    if (name !== '') this.#jobs.push(new WebhookBundle({ api: client, name, rootsPem, clock, log }));
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
    this.#there.start();
    this.#ownEvents.switch(true);
    this.#leader.start();
  }

  /** The statuses with what is known of deployments, as of now. */
  statuses(): ObjectStatus[] {
    const { gateways, statuses } = this.#options;
    return [...this.#deployer.statuses(statuses(), gateways())];
  }

  /** Something that a person should see beside the object that it is about. */
  tell(event: ClusterEvent): void {
    if (!this.#isClosed) this.#events.tell(event);
  }

  /** The same, of what no other replica sees: it is told at once, by whichever this is. */
  tellOwn(event: ClusterEvent): void {
    if (!this.#isClosed) this.#ownEvents.tell(event);
  }

  /** Something was compiled: statuses may be others. */
  compiled(): void {
    this.#isCompiled = true;
    this.changed();
  }

  /** Something else that is written may be another one. */
  changed(): void {
    if (this.#isClosed || !this.#isCompiled) return;
    this.#cancel ??= this.#options.clock.after(gatherMs, () => {
      this.#cancel = null;
      this.#update();
    });
  }

  /** Resolves when the Lease has been given back. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancel?.();
    const others = [this.#there, this.#parameters, this.#ownEvents];
    await Promise.all([...this.#jobs, ...others].map((each) => each.close()));
    await this.#leader.close();
  }

  #update(): void {
    const { gateways, rootsPem } = this.#options;
    this.#deployer.update(gateways(), rootsPem());
    this.#writer.update(this.statuses());
  }
}

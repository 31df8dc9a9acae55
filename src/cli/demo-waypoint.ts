// The second half of the demo: the shop's namespace gets a waypoint, and what that is good for is shown: a canary, a
// payment service that fails without anybody noticing, a slow service that is found.
import path from 'node:path';
import { MeshError } from '../base/errors.ts';
import { projectFile } from '../base/project-files.ts';
import { askPod } from '../lab/ask-pod.ts';
import type { LabClient } from '../lab/control-client.ts';
import type { RequestRecord } from '../telemetry/access-record.ts';
import {
  type Books,
  canaryDemand,
  type Demand,
  paymentsDemand,
  RequestMeter,
  type RequestRow,
  slowDemand,
} from './demo-requests.ts';

const folder = projectFile('deploy/samples/shop-waypoint');
const waypoint = { kind: 'waypoint', namespace: 'shop', name: 'waypoint' } as const;
const slowMs = 300;

const paymentsTimeoutMs = 45_000;
const slowTimeoutMs = 15_000;
/** Payments has failed so often before it had charged; from then on it fails afterwards. */
const failuresMin = 3;

/**
 * Who is told how it goes: what is done to the shop, what its requests look like then, and what was demanded of them.
 */
export interface Audience {
  step(text: string): void;
  requests(rows: readonly RequestRow[]): void;
  demands(demands: readonly Demand[]): void;
}

/** The shop behind its waypoint. */
export class WaypointScene {
  readonly meter = new RequestMeter();
  readonly #lab: LabClient;
  #log: AsyncIterator<string> | null = null;

  constructor(lab: LabClient) {
    this.#lab = lab;
  }

  /** Puts the waypoint there, and begins to read its log. Rejects with what was refused. */
  async start(): Promise<void> {
    // First a waypoint that is ready, then the label that leads to it: not one request has nobody to answer it.
    await this.#apply(path.join(folder, 'waypoint.yaml'));
    await this.#apply(folder);
    this.#log = this.#lab.logs(waypoint, { access: true, follow: true })[Symbol.asyncIterator]();
    // The log ends with the lab, however that ends.
    this.#read(this.#log).catch(() => {});
  }

  async #apply(place: string): Promise<void> {
    const { refused } = await this.#lab.apply([place]);
    if (refused.length === 0) return;
    throw new MeshError('CONFIG_INVALID', { place, reason: refused.map(({ message }) => message).join('; ') });
  }

  /** Payments fails one request in five, before or after it has charged. */
  async failPayments(when: 'before' | 'after'): Promise<void> {
    await this.#ask('payments', 'PUT', `/faults?fail-one-in=5&fail-when=${when}`);
  }

  async slowInventory(): Promise<void> {
    await this.#ask('inventory', 'PUT', `/faults?delay=${slowMs}ms`);
  }

  async books(): Promise<Books> {
    return JSON.parse(await this.#ask('payments', 'GET', '/charges')) as Books;
  }

  /**
   * Fails payments both ways and then slows inventory, until each demand is met or its time is over. Returns whether
   * all were met; `pause` resolves false when the person wants to stop, and null is returned then.
   */
  async judge(audience: Audience, pause: () => Promise<boolean>): Promise<boolean | null> {
    await this.failPayments('before');
    this.meter.reset();
    audience.step('payments fails one request in five, on purpose: at first before it has charged, then after that');
    const hurt = await this.#until(paymentsTimeoutMs, pause, async (rows) => {
      const books = await this.books();
      if (books.failedBefore >= failuresMin && books.failedAfter === 0) await this.failPayments('after');
      return [canaryDemand(rows), paymentsDemand(rows, books)];
    });
    if (hurt === null) return null;
    audience.requests(hurt.rows);
    audience.demands(hurt.demands);
    await this.slowInventory();
    audience.step(`inventory turns slow: ${slowMs} ms for every answer`);
    if (!(await pause())) return null;
    this.meter.reset();
    const slow = await this.#until(slowTimeoutMs, pause, async (rows) => [slowDemand(rows, slowMs)]);
    if (slow === null) return null;
    audience.requests(slow.rows);
    audience.demands(slow.demands);
    return [...hurt.demands, ...slow.demands].every(({ met }) => met);
  }

  close(): void {
    this.#log?.return?.()?.catch(() => {});
  }

  /** Judges again and again; what it returns belongs together. */
  async #until(
    timeoutMs: number,
    pause: () => Promise<boolean>,
    judge: (rows: readonly RequestRow[]) => Promise<Demand[]>,
  ): Promise<{ rows: readonly RequestRow[]; demands: Demand[] } | null> {
    for (const end = performance.now() + timeoutMs; ; ) {
      const rows = this.meter.rows();
      const demands = await judge(rows);
      if (demands.every(({ met }) => met) || performance.now() > end) return { rows, demands };
      if (!(await pause())) return null;
    }
  }

  async #read(log: AsyncIterator<string>): Promise<void> {
    for (let next = await log.next(); next.done !== true; next = await log.next()) {
      const record = JSON.parse(next.value) as RequestRecord;
      if (record.kind === 'request') this.meter.add(record);
    }
  }

  #ask(deployment: string, method: string, requestPath: string): Promise<string> {
    return askPod(this.#lab, waypoint.namespace, `deploy/${deployment}`, method, requestPath);
  }
}

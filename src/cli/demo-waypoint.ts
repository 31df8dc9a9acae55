// The second half of the demo: the shop's namespace gets a waypoint, and what that is good for is shown: a canary, a
// payment service that fails without anybody noticing, a slow service that is found.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { MeshError } from '../base/errors.ts';
import type { LabClient } from '../lab/control-client.ts';
import { enterCommand } from '../lab/enter.ts';
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

const folder = path.join(import.meta.dirname, '../../deploy/samples/shop-waypoint');
const waypoint = { kind: 'waypoint', namespace: 'shop', name: 'waypoint' } as const;
const slowMs = 300;
const askTimeoutMs = 10_000;

const paymentsTimeoutMs = 45_000;
const slowTimeoutMs = 15_000;
/** Payments has failed so often before it had charged; from then on it fails afterwards. */
const failuresMin = 3;

/** What came of it: the tables before and after inventory turned slow, and the demands. */
export interface Verdict {
  readonly before: readonly RequestRow[];
  readonly slow: readonly RequestRow[];
  readonly demands: readonly Demand[];
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
    const { refused } = await this.#lab.apply([folder]);
    if (refused.length > 0) {
      throw new MeshError('CONFIG_INVALID', {
        place: folder,
        reason: refused.map(({ message }) => message).join('; '),
      });
    }
    this.#log = this.#lab.logs(waypoint, { access: true, follow: true })[Symbol.asyncIterator]();
    // The log ends with the lab, however that ends.
    this.#read(this.#log).catch(() => {});
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

  /** What was demanded so far, each with what was seen. */
  async paymentsDemands(): Promise<Demand[]> {
    const rows = this.meter.rows();
    return [canaryDemand(rows), paymentsDemand(rows, await this.books())];
  }

  slowDemand(): Demand {
    return slowDemand(this.meter.rows(), slowMs);
  }

  /**
   * Fails payments both ways and then slows inventory, until each demand is met or its time is over. `step` is told of
   * each; `pause` resolves false when the person wants to stop. Null then.
   */
  async judge(step: (text: string) => void, pause: () => Promise<boolean>): Promise<Verdict | null> {
    await this.failPayments('before');
    this.meter.reset();
    step('payments fails one request in five');
    let demands = await this.paymentsDemands();
    let isAfter = false;
    for (let end = performance.now() + paymentsTimeoutMs; performance.now() < end; ) {
      if (demands.every(({ met }) => met)) break;
      if (!(await pause())) return null;
      if (!isAfter && (await this.books()).failedBefore >= failuresMin) {
        isAfter = true;
        await this.failPayments('after');
      }
      demands = await this.paymentsDemands();
    }
    const before = this.meter.rows();
    await this.slowInventory();
    step('inventory turns slow');
    if (!(await pause())) return null;
    this.meter.reset();
    for (let end = performance.now() + slowTimeoutMs; performance.now() < end && !this.slowDemand().met; ) {
      if (!(await pause())) return null;
    }
    return { before, slow: this.meter.rows(), demands: [...demands, this.slowDemand()] };
  }

  close(): void {
    this.#log?.return?.()?.catch(() => {});
  }

  async #read(log: AsyncIterator<string>): Promise<void> {
    for (let next = await log.next(); next.done !== true; next = await log.next()) {
      const record = JSON.parse(next.value) as RequestRecord;
      if (record.kind === 'request') this.meter.add(record);
    }
  }

  /** Asks a pod of the shop from within, past the mesh. Rejects when it does not answer. */
  async #ask(deployment: string, method: string, requestPath: string): Promise<string> {
    const target = await this.#lab.target('pod', waypoint.namespace, `deploy/${deployment}`);
    const script = `fetch('http://127.0.0.1:8080${requestPath}', { method: '${method}' })
      .then((answer) => answer.text()).then((text) => process.stdout.write(text))`;
    const { command, args } = enterCommand(target, [process.execPath, '-e', script]);
    const child = spawn(command, args, { env: target.env, stdio: ['ignore', 'pipe', 'ignore'], timeout: askTimeoutMs });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    if (code === 0) return text;
    const hint = `see: ambientctl lab logs -n shop deploy/${deployment}`;
    throw new MeshError('NOT_REACHABLE', { what: `deploy/${deployment}`, reason: `no answer to ${requestPath}`, hint });
  }
}

// The stage of chaos and soak: a lab with two nodes, pods that load each other, one that may not, one whose permission
// comes and goes.
import assert from 'node:assert/strict';
import {
  authorizationPolicy,
  namespace,
  node1,
  node2,
  pod,
  service,
  startLab,
  type TestLab,
  twoNodes,
} from '../lab/harness.ts';
import { type LoadEvent, PodLoad } from './load.ts';
import type { LoadOrder } from './pod-load.ts';

export const loadPort = 7000;
export const drainMs = 6_000;
export const victim = pod('victim', { node: node2 });

const deny = (name: string): string =>
  authorizationPolicy({
    name: `no-${name}`,
    spec: { action: 'DENY', rules: [{ from: [{ source: { principals: [`cluster.local/ns/app/sa/${name}`] } }] }] },
  });

/** While it is applied, pod `flip` may call nobody. */
export const denyFlip = deny('flip');

const meshPods = { alpha: node1, beta: node2, gamma: node2, flip: node1, intruder: node1 } as const;

const manifests =
  twoNodes +
  namespace('app') +
  namespace('plain', false) +
  Object.entries(meshPods)
    .map(([name, node]) => pod(name, { node }))
    .join('') +
  victim +
  pod('near', { node: node1, namespace: 'plain' }) +
  pod('far', { node: node2, namespace: 'plain' }) +
  ['alpha', 'beta', 'victim'].map((name) => service(name, 80, loadPort, { app: name })).join('') +
  deny('intruder');

const order = (kind: LoadOrder['kind'], host: string, more: Partial<LoadOrder> = {}): LoadOrder => {
  return { kind, host, port: 80, parallel: 2, up: 2_000, down: 5_000, pauseMs: 20, ...more };
};
const long = { up: 10_240, down: 10_240, roundMs: 50 };
const bulk = { parallel: 1, up: 2_000_000, down: 3_000_000, pauseMs: 200 };
const cut = { up: 300_000, down: 100_000, pauseMs: 50 };

/** What each pod does; `victims` are calls of a pod that is deleted now and then. */
const orders: Readonly<Record<string, readonly LoadOrder[]>> = {
  alpha: [
    order('short', 'beta', { parallel: 4 }),
    order('half', 'beta'),
    order('long', 'beta', { ...long, parallel: 4 }),
    order('bulk', 'beta', bulk),
    order('reset', 'beta', cut),
  ],
  beta: [order('short', 'alpha'), order('long', 'alpha', long), order('bulk', 'alpha', bulk)],
  gamma: [order('short', 'beta'), order('bulk', 'beta', bulk), order('reset', 'beta', cut)],
  flip: [order('flip', 'beta', { pauseMs: 30 })],
  intruder: [order('intruder', 'beta', { parallel: 1, pauseMs: 200 })],
  victims: [order('short', 'victim', { pauseMs: 50 }), order('long', 'victim', long)],
};

export class Scene {
  readonly lab: TestLab;
  readonly loads = new Map<string, PodLoad>();
  readonly #onEvent: (who: string, event: LoadEvent) => void;

  private constructor(lab: TestLab, onEvent: (who: string, event: LoadEvent) => void) {
    this.lab = lab;
    this.#onEvent = onEvent;
  }

  static async open(onEvent: (who: string, event: LoadEvent) => void): Promise<Scene> {
    const lab = await startLab(manifests, { nodeConfig: { timeouts: { drainMs }, threads: 1 } });
    const scene = new Scene(lab, onEvent);
    const pods = { alpha: 'alpha', beta: 'beta', gamma: 'gamma', flip: 'flip', intruder: 'intruder', victims: 'gamma' };
    for (const [who, name] of Object.entries(pods)) await scene.#load(who, name);
    for (const name of ['alpha', 'beta']) await scene.loads.get(name)!.serve(loadPort);
    await scene.serveVictim();
    return scene;
  }

  async #load(who: string, name: string, ns = 'app'): Promise<PodLoad> {
    const target = await this.lab.client.target('pod', ns, name);
    const load = await PodLoad.start(who, target, (event) => this.#onEvent(who, event));
    this.loads.set(who, load);
    return load;
  }

  /** The pod that is deleted now and then is there, anew. */
  async serveVictim(): Promise<void> {
    await (await this.#load('victim', 'victim')).serve(loadPort);
  }

  /** Begins the load; with `restFactor` times the pauses between streams and rounds. */
  async begin(restFactor = 1): Promise<void> {
    for (const [who, list] of Object.entries(orders)) {
      for (const each of list) {
        const { pauseMs, roundMs } = each;
        const rest = roundMs === undefined ? {} : { roundMs: roundMs * restFactor };
        await this.loads.get(who)!.run({ ...each, ...rest, pauseMs: pauseMs * restFactor });
      }
    }
  }

  /** Lets the streams end that run; resolves with what became of all. Rejects with those that never end. */
  async end(timeoutMs: number): Promise<Record<string, number>> {
    const living = [...this.loads.values()].filter((load) => !load.ended);
    await Promise.all(living.map((load) => load.stop()));
    const sums: Record<string, number> = {};
    for (const load of living) {
      const { tally } = await load.quiet(timeoutMs);
      for (const [name, count] of Object.entries(tally)) sums[name] = (sums[name] ?? 0) + count;
    }
    return sums;
  }

  /** One stream between two pods outside of the mesh: what a watch of the links must see. */
  async inTheClear(): Promise<void> {
    const far = await this.#load('far', 'far', 'plain');
    const near = await this.#load('near', 'near', 'plain');
    await far.serve(loadPort);
    const host = await this.lab.addressOf('far', 'plain');
    await near.run(order('short', host, { port: loadPort, repeat: 1, parallel: 1 }));
    const { tally } = await near.quiet(10_000);
    assert.deepEqual(tally, { 'client short fine': 1 });
    for (const who of ['far', 'near']) {
      await this.loads.get(who)!.close();
      this.loads.delete(who);
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.loads.values()].map((load) => load.close()));
    await this.lab.close();
  }
}

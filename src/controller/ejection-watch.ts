// Endpoints that waypoints have ejected, told as Events beside their pods. Asks each waypoint that is connected to this
// replica; nobody else would hear of it, so each replica tells of its own waypoints.
import type { Clock } from '../base/clock.ts';
import type { ObservedProxy, ObserveServer } from '../discovery/observe-server.ts';
import type { ClusterEvent, EventObject } from '../kube/event-writer.ts';
import type { MeshCompiler } from '../model/compiler.ts';
import type { EjectedListView, EjectedView } from '../model/views.ts';
import { answerOf, observedView } from './observed-proxies.ts';

export interface EjectionWatchOptions {
  readonly observed: Pick<ObserveServer, 'proxies'>;
  readonly compiler: Pick<MeshCompiler, 'pod' | 'gateways'>;
  readonly clock: Clock;
  readonly tell: (event: ClusterEvent) => void;
}

const everyMs = 5_000;
const askedAtOnceMax = 32;
/** An endpoint that comes and goes is told of so often at most, with its return. */
const quietMs = 60_000;
/** Within so long a waypoint that has come is asked for the first time, on a slow machine too. */
const freshMs = 2 * everyMs;
/** Of one waypoint's pod; who has more tells it in the metrics. */
const rowsMax = 500;

/** An endpoint that a waypoint's pod has ejected. */
interface Out {
  readonly row: EjectedView;
  /** What Events of it are about; null for nothing. */
  readonly regarding: EventObject | null;
  /** Whether its return is to be told. */
  readonly isTold: boolean;
}

/** Asks from `start` to `close`. */
export class EjectionWatch {
  readonly #options: EjectionWatchOptions;
  /** By the pod of a waypoint, then by endpoint; null before its first answer. */
  readonly #known = new Map<string, Map<string, Out> | null>();
  /** When an endpoint's ejection was told last. */
  readonly #toldAtMs = new Map<string, number>();
  #cancel: (() => void) | null = null;
  #isClosed = false;

  constructor(options: EjectionWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#cancel = this.#options.clock.after(everyMs, () => void this.#turn());
  }

  /** Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
  }

  async #turn(): Promise<void> {
    const waypoints = this.#options.observed.proxies().filter(({ node }) => node.kind === 'waypoint');
    const pods = new Set(waypoints.map((proxy) => observedView(proxy).pod));
    // What it had ejected has ended with it, or another replica goes on telling.
    for (const pod of this.#known.keys()) if (!pods.has(pod)) this.#known.delete(pod);
    const nowMs = this.#options.clock.now();
    for (const [key, toldMs] of this.#toldAtMs) if (nowMs - toldMs >= quietMs) this.#toldAtMs.delete(key);
    const ask = async (): Promise<void> => {
      for (let one = waypoints.pop(); one !== undefined && !this.#isClosed; one = waypoints.pop()) await this.#ask(one);
    };
    await Promise.all(Array.from({ length: askedAtOnceMax }, ask));
    if (!this.#isClosed) this.start();
  }

  async #ask(proxy: ObservedProxy): Promise<void> {
    const { name: waypoint, pod } = observedView(proxy);
    const answer = (await answerOf(proxy, '/ejected')) as EjectedListView | null;
    if (answer === null || this.#isClosed) return;
    const before = this.#known.get(pod) ?? null;
    const now = new Map<string, Out>();
    for (const row of answer.ejected.slice(0, rowsMax)) {
      const key = JSON.stringify([waypoint, row.service, row.subset ?? '', row.address]);
      const known = before?.get(key);
      if (known !== undefined && row.since <= known.row.until) now.set(key, { ...known, row });
      else now.set(key, this.#ejected(key, waypoint, row, before === null && !this.#isFresh(row)));
    }
    for (const [key, out] of before ?? []) if (out.isTold && !now.has(key)) this.#returned(waypoint, out);
    this.#known.set(pod, now);
  }

  /** Of the time since the waypoint came here: nobody else has told it. */
  #isFresh({ since }: EjectedView): boolean {
    return Date.parse(since) > this.#options.clock.now() - freshMs;
  }

  /** Tells it, unless it was told a moment ago, or before the waypoint came here (`isOld`). */
  #ejected(key: string, waypoint: string, row: EjectedView, isOld: boolean): Out {
    const regarding = this.#regarding(waypoint, row);
    if (isOld || regarding === null) return { row, regarding, isTold: isOld };
    if (this.#toldAtMs.has(key)) return { row, regarding, isTold: false };
    this.#toldAtMs.set(key, this.#options.clock.now());
    const until = row.until.replace(/\.\d+Z$/, 'Z');
    const note = `waypoint ${waypoint} has ejected ${endpointOf(row)} until ${until}: ${row.reason}`;
    this.#options.tell({ regarding, type: 'Warning', reason: 'EndpointEjected', action: 'Eject', note });
    return { row, regarding, isTold: true };
  }

  #returned(waypoint: string, { row, regarding }: Out): void {
    // An endpoint that has gone has not returned.
    if (regarding === null || this.#regarding(waypoint, row)?.uid !== regarding.uid) return;
    const note = `waypoint ${waypoint} sends requests to ${endpointOf(row)} again`;
    this.#options.tell({ regarding, type: 'Normal', reason: 'EndpointReturned', action: 'Return', note });
  }

  /** The pod; of an endpoint that is none (a ServiceEntry may name it) the Gateway of the waypoint. */
  #regarding(waypoint: string, { namespace, workload }: EjectedView): EventObject | null {
    const { compiler } = this.#options;
    const pod = compiler.pod(namespace, workload);
    if (pod !== null) return { apiVersion: 'v1', kind: 'Pod', namespace, name: workload, uid: pod.uid };
    const gateway = compiler.gateways().find((one) => `${one.namespace}/${one.name}` === waypoint);
    if (gateway === undefined) return null;
    const { apiVersion, namespace: within, name, uid } = gateway;
    return { apiVersion, kind: 'Gateway', namespace: within, name, uid };
  }
}

function endpointOf({ service, subset, address }: EjectedView): string {
  return `${address} of service ${service}${subset ? `, subset ${subset}` : ''}`;
}

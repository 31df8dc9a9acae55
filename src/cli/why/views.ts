// What `ambientctl why` says besides what would happen: what is happening. Fields of its JSON, a contract.
import type { LoopDelayView } from '../../model/views.ts';
import type { WhyResult } from '../../policy/why.ts';

/** Something that explains why it does not go as it should, the worst first. */
export interface WhyCause {
  readonly severity: 'error' | 'warning';
  readonly text: string;
  /** What to do; null where that is plain. */
  readonly fix: string | null;
}

/** A pod that may answer. Times are RFC 3339. */
export interface WhyEndpoint {
  /** `NAME.NAMESPACE` of the service whose endpoint it is; null for a pod by its own address. */
  readonly service: string | null;
  readonly workload: string;
  readonly namespace: string;
  readonly node: string;
  readonly state: 'ready' | 'unready' | 'draining' | 'ejected';
  readonly since: string | null;
  /** Of an ejected one. */
  readonly until: string | null;
  readonly reason: string | null;
}

export type SegmentName = 'clientProxy' | 'wire' | 'waypoint' | 'destinationProxy' | 'application';

/** What was seen of the last one that did not go well. */
export interface WhyTrouble {
  readonly time: string;
  readonly flag: string;
  /** What the flag means, or what the proxy said. */
  readonly text: string;
  /** `NAMESPACE/NAME` of the policy that refused. */
  readonly decidedBy: string | null;
  readonly status: number | null;
  /** `node/NAME` or `waypoint/NAMESPACE/NAME`. */
  readonly saidBy: string;
}

/** What was seen on the path lately, by the records of its proxies. */
export interface WhySeen {
  /** Over so long; figures are of that time. */
  readonly windowMs: number;
  readonly requests: number;
  readonly connections: number;
  /** Requests, or connections where there are none. */
  readonly perS: number;
  /** Of 1; null where nothing was seen. */
  readonly success: number | null;
  /** Of requests; of connections, the time to connect. */
  readonly p50Ms: number | null;
  readonly p90Ms: number | null;
  readonly p99Ms: number | null;
  /** Where the time of the slower requests went, on average. */
  readonly segmentsMs: Readonly<Partial<Record<SegmentName, number>>>;
  /** The largest of them in words; null without requests. */
  readonly slowest: string | null;
  readonly lastRefusal: WhyTrouble | null;
  readonly lastError: WhyTrouble | null;
}

/** A proxy on the path. */
export interface WhyProxy {
  readonly kind: 'node' | 'waypoint';
  /** The node, or `NAMESPACE/NAME` of the Gateway. */
  readonly name: string;
  readonly pod: string | null;
  /** Null where the controller has never heard of it. */
  readonly connected: boolean | null;
  readonly inStep: boolean | null;
  readonly behindSince: string | null;
  readonly loopDelayMs: LoopDelayView | null;
  readonly problems: readonly WhyCause[];
}

/** `why -o json` of a mesh that runs, or of manifests. */
export interface WhyView extends WhyResult {
  readonly causes: readonly WhyCause[];
  readonly endpoints: readonly WhyEndpoint[];
  /** Null offline, and where nobody has seen anything. */
  readonly seen: WhySeen | null;
  readonly proxies: readonly WhyProxy[];
  /** What could not be found out, and why. */
  readonly unknown: readonly string[];
}

// What the live page is told: the JSON of the controller's page server, by path and by server-sent event.
// These shapes are a contract between the server (`controller/page`) and the browser (`page`): fields are added, never
// changed. Texts are whole sentences for people, and are shown as they are (as text, never as HTML).
import type { FlowVerdict } from '../telemetry/flow-verdict.ts';
import type { EjectedView } from './views.ts';

/**
 * Paths of the page server; all are `GET` and change nothing. `/` is src/page/index.html, `/assets/X` is the file
 * `src/X`, with the types stripped: the page names `/assets/page/main.ts`, and that imports by relative paths.
 * `details` takes `?node=ID` or `?edge=ID` (percent-encoded) and answers `DetailsView`, or 404 for what is no longer
 * there.
 */
export const pagePaths = {
  page: '/',
  assets: '/assets/',
  events: '/events',
  graph: '/api/graph',
  proxies: '/api/proxies',
  problems: '/api/problems',
  details: '/api/details',
} as const;

/** Below it on the controller's admin port, all of the page once more, for who may use that port. */
export const pageOnAdmin = '/page';

/**
 * Events of `/events`; `data` is one line of JSON, each a whole snapshot, so that whoever connects again needs nothing
 * of before. All three are sent at once after connecting.
 */
export const pageEvents = {
  /** `GraphView`, once a second; a slow reader misses some. */
  graph: 'graph',
  /** `ProxiesView`, when something but a time changed, and every few seconds. */
  proxies: 'proxies',
  /** `ProblemsView`, when something but a time changed. */
  problems: 'problems',
  /** `HeartbeatView`, every few seconds whatever happens: after three times `everyMs` of silence, connect again. */
  heartbeat: 'heartbeat',
} as const;

export interface HeartbeatView {
  readonly time: string;
  readonly everyMs: number;
}

export type NoteSeverity = 'error' | 'warning' | 'info';

/** Something to know about a node, an edge or a proxy, in words. */
export interface PageNote {
  readonly severity: NoteSeverity;
  /** What kind of thing it is; stable, for icons and tests. */
  readonly id: PageNoteId;
  /** A whole sentence: `Refused by shop/deny-web: 12 in the last minute`. */
  readonly text: string;
}

/**
 * `refused`: by policy · `failed` · `slow`: where the time goes · `ejected`, `unready`: endpoints · …
 */
export type PageNoteId =
  | 'refused'
  | 'plaintext-refused'
  | 'plaintext'
  | 'failed'
  | 'route-broken'
  | 'slow'
  | 'overload'
  | 'retries-held'
  | 'retries'
  | 'ejected'
  | 'unready'
  | 'no-endpoint'
  | 'proxy-behind'
  | 'proxy-down'
  | 'proxy-busy'
  | 'proxy-refused'
  | 'certificate'
  | 'configuration'
  | 'split';

/** What came through an edge or to a node, over `windowMs` of the view that it is in. */
export interface TrafficView {
  /** Requests that a waypoint has seen. */
  readonly requestsPerS: number;
  /** Connections: those that ended, and those that were open at the end of it. */
  readonly connectionsPerS: number;
  readonly openConnections: number;
  /** Of 1: requests, or where there are none connections, that were neither refused nor failed; null without any. */
  readonly success: number | null;
  /** Of requests; null without any. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly refusedPerS: number;
  readonly failedPerS: number;
  /** Both ways. */
  readonly bytesPerS: number;
  /** Of 1: carried over mutual TLS, or within a node between enrolled pods. Null without traffic. */
  readonly secured: number | null;
}

/** A service with its workloads, a workload that belongs to no service, or all that is outside the mesh's addresses. */
export interface GraphNode {
  /** `NAMESPACE/NAME`, unique; a workload whose name a service has ends in `~workload`; `outside` is the world. */
  readonly id: string;
  /** '' for `outside`. */
  readonly namespace: string;
  readonly name: string;
  readonly kind: 'service' | 'workload' | 'outside';
  /** All of its pods are in the mesh, some, or none; null where there is no pod. */
  readonly enrolled: 'all' | 'some' | 'none' | null;
  /** `NAMESPACE/NAME` of the Gateway that stands before it. */
  readonly waypoint: string | null;
  readonly endpoints: { readonly ready: number; readonly total: number };
  readonly ejected: readonly EjectedView[];
  /** Deployments and the like behind it, busiest first. */
  readonly workloads: readonly WorkloadShare[];
  /** Splits of its traffic by weights, where some route asks for one. */
  readonly splits: readonly SplitView[];
  /** What comes to it, all edges together. */
  readonly incoming: TrafficView;
  /** Worst first. */
  readonly notes: readonly PageNote[];
}

export interface WorkloadShare {
  /** Of the Deployment or the like. */
  readonly name: string;
  readonly namespace: string;
  /** Label `version` and the like; '' for none. */
  readonly revision: string;
  readonly pods: { readonly ready: number; readonly total: number };
  /** Of 1: of the requests (else connections) to the node, what it answered; null without any. */
  readonly actual: number | null;
  /** Of 1: what the weights of the only route with a split give it; null where none or several do. */
  readonly configured: number | null;
}

/** Weights of one rule, and what came of them in the window. */
export interface SplitView {
  /** `KIND/NAMESPACE/NAME#RULE`. */
  readonly route: string;
  readonly backends: readonly {
    /** `SERVICE` or `SERVICE subset SUBSET`, with the namespace where it is another one. */
    readonly name: string;
    /** Of 1. */
    readonly configured: number;
    /** Of 1; null without requests, or where the backends share endpoints and nobody can tell. */
    readonly actual: number | null;
  }[];
}

export interface GraphEdge extends TrafficView {
  /** `FROM>TO`, unique. */
  readonly id: string;
  /** Ids of nodes. */
  readonly from: string;
  readonly to: string;
  /** How it is carried: the lock. `mixed`: partly in the clear. */
  readonly transport: 'mtls' | 'same-node' | 'plaintext' | 'mixed';
  /** Through which waypoint requests came; null for none. */
  readonly waypoint: string | null;
  /** By what, the most frequent first. */
  readonly refusals: readonly RefusalView[];
  /** The last one that was refused or failed, in the window. */
  readonly lastTrouble: TroubleView | null;
  /** Of 1: requests that took more than one try. */
  readonly retried: number;
  readonly notes: readonly PageNote[];
}

/** Refusals for one reason, in the window. */
export interface RefusalView {
  readonly count: number;
  /**
   * As its author knows it: `AuthorizationPolicy shop/deny-web`, `PeerAuthentication shop/strict`; null for no policy.
   */
  readonly by: string | null;
  /** A whole sentence. */
  readonly text: string;
}

export interface TroubleView {
  /** RFC 3339. */
  readonly time: string;
  readonly verdict: Exclude<FlowVerdict, 'forwarded'>;
  readonly text: string;
}

/** `GET /api/graph`, event `graph`. */
export interface GraphView {
  /** When it was made, RFC 3339. */
  readonly time: string;
  /** The time that rates, shares and quantiles are over: 60 s, less when the page was opened just now. */
  readonly windowMs: number;
  /** Sorted by namespace and name. */
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
  /** What is left out because of limits, and what proxies could not tell of each flow; all 0 in an ordinary mesh. */
  readonly leftOut: { readonly nodes: number; readonly edges: number; readonly flowsPerS: number };
  /** Proxies that tell their flows, and names of those that should and do not. */
  readonly heard: { readonly proxies: number; readonly silent: readonly string[] };
}

export const segmentOrder = ['clientProxy', 'wire', 'waypoint', 'destinationProxy', 'application'] as const;

/** A part of the time of requests; `segment` in the order of `segmentOrder`. */
export interface SegmentView {
  readonly segment: (typeof segmentOrder)[number];
  /** In words: `client's proxy`. */
  readonly name: string;
  /** Null where nobody could tell. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

export interface RouteShare {
  /** `KIND/NAMESPACE/NAME#RULE`; `no route` for what none matched. */
  readonly route: string;
  readonly requestsPerS: number;
  readonly success: number | null;
  readonly p99Ms: number | null;
  /** Its weights against what came of them; [] where there is one backend. */
  readonly backends: SplitView['backends'];
  /** Why a backend of it cannot be used, and other findings; whole sentences. */
  readonly problems: readonly string[];
}

export interface PolicyRow {
  /** `AuthorizationPolicy`, `PeerAuthentication`, … */
  readonly kind: string;
  /** `NAMESPACE/NAME`. */
  readonly name: string;
  readonly action: 'allow' | 'deny' | 'audit';
  readonly dryRun: boolean;
  /** Who judges: the node proxy of the destination, or the waypoint. */
  readonly layer: 'L4' | 'L7';
  /** In words: `the whole mesh`, `namespace shop`, `this service`. */
  readonly scope: string;
  /** How much it refused in the window. */
  readonly refused: number;
}

export interface FlowRow {
  readonly time: string;
  readonly verdict: FlowVerdict;
  /** As `ambientctl tap` prints it. */
  readonly line: string;
  /** As `ambientctl tap -o json` prints it, indented. */
  readonly json: string;
}

/** A command that prints the same, to copy. */
export interface CommandView {
  /** What it shows: `Every flow of this edge, as it comes`. */
  readonly what: string;
  readonly command: string;
}

/** `GET /api/details`: one node or edge. */
export interface DetailsView {
  readonly time: string;
  readonly windowMs: number;
  readonly of: 'node' | 'edge';
  readonly id: string;
  /** `shop/cart`, `shop/web → shop/cart`. */
  readonly title: string;
  readonly traffic: TrafficView;
  readonly notes: readonly PageNote[];
  /** All five, in order; [] where no request was seen. */
  readonly segments: readonly SegmentView[];
  /** Where most of the slow requests' time goes, in words; null where nothing stands out. */
  readonly slowest: string | null;
  /** Busiest first. */
  readonly routes: readonly RouteShare[];
  readonly policies: readonly PolicyRow[];
  /** Of a node: its pods. Of an edge: those of its destination. */
  readonly endpoints: readonly EndpointRow[];
  readonly refusals: readonly RefusalView[];
  /** Newest first. */
  readonly flows: readonly FlowRow[];
  readonly commands: readonly CommandView[];
}

export interface EndpointRow {
  /** `NAMESPACE/NAME` of the pod. */
  readonly workload: string;
  readonly address: string;
  /** Node that it runs on. */
  readonly node: string;
  readonly enrolled: boolean;
  readonly state: 'ready' | 'not ready' | 'ejected';
  /** Why it is ejected and since when; null otherwise. */
  readonly reason: string | null;
}

/** A replica of the controller, as the one that serves the page sees it. */
export interface ReplicaView {
  /** `NAMESPACE/NAME`; '' where it does not know its own. */
  readonly pod: string;
  /** '' for one that does not answer. */
  readonly version: string;
  /** It serves this page. */
  readonly isThis: boolean;
  /** Those that are connected to it; null for one that does not answer, whose proxies are missing here. */
  readonly proxies: number | null;
}

/** `GET /api/proxies`, event `proxies`. */
export interface ProxiesView {
  readonly time: string;
  readonly controller: { readonly version: string; readonly inStep: number; readonly proxies: number };
  /** Every replica of the controller, the one that serves the page first; [] where there is one alone. */
  readonly replicas?: readonly ReplicaView[];
  /** Worst first, then by kind and name. */
  readonly proxies: readonly ProxyRow[];
  readonly commands: readonly CommandView[];
}

export interface ProxyRow {
  readonly kind: 'node' | 'waypoint';
  /** Its node, or `NAMESPACE/NAME` of the Gateway. */
  readonly name: string;
  /** `NAMESPACE/NAME` of its pod; '' where none is known. */
  readonly pod: string;
  readonly node: string;
  readonly version: string;
  /**
   * `in step`: has applied all that the controller serves · `behind` · `refused`: some of it · `not ready` ·
   * `not connected`: should be and is not.
   */
  readonly state: 'in step' | 'behind' | 'refused' | 'not ready' | 'not connected';
  /** Since when it is behind or not connected, RFC 3339; null when in step or where nobody knows. */
  readonly since: string | null;
  /** The state in a sentence: `In step`, `Behind since 03:12:40: no answer to the last update`. */
  readonly text: string;
  readonly refused: readonly { readonly resource: string; readonly reason: string }[];
  /** Null where it does not answer. */
  readonly load: ProxyLoadView | null;
  readonly certificates: readonly ProxyCertificateRow[];
  /** When it last answered this controller, RFC 3339; null for never. */
  readonly heardAt: string | null;
  readonly notes: readonly PageNote[];
  readonly commands: readonly CommandView[];
}

export interface ProxyLoadView {
  readonly connections: number;
  /** How long turns of its busiest data thread's event loop took lately. */
  readonly loopDelayP99Ms: number;
  readonly loopDelayMaxMs: number;
  readonly threads: readonly {
    readonly id: number;
    readonly state: 'starting' | 'serving' | 'dead';
    readonly connections: number;
    readonly restarts: number;
    readonly loopDelayP99Ms: number;
  }[];
}

export interface ProxyCertificateRow {
  readonly identity: string;
  readonly state: 'ok' | 'late' | 'expired' | 'missing';
  /** RFC 3339; null where it is missing. */
  readonly notAfter: string | null;
  /** Why it is missing or late; '' otherwise. */
  readonly note: string;
}

/** `GET /api/problems`, event `problems`. */
export interface ProblemsView {
  readonly time: string;
  /** When it was last looked for, and what could not be looked at, in words. */
  readonly incomplete: readonly string[];
  /** Errors first. */
  readonly problems: readonly ProblemRow[];
  /** How many beyond those listed, because of a limit. */
  readonly leftOut: number;
  /** Statements of `check` that hold, such as `every proxy is in step`. */
  readonly well: readonly string[];
  readonly commands: readonly CommandView[];
}

export interface ProblemRow {
  readonly source: 'check' | 'analyze';
  /** `AMB0xxx`; null of `check`. */
  readonly code: string | null;
  readonly severity: NoteSeverity;
  /** `HTTPRoute shop/cart`; of `check` the statement that should hold. */
  readonly title: string;
  readonly text: string;
  /** What to do; '' where nobody can say. */
  readonly fix: string;
  /** `FILE:LINE:COLUMN` or the field of the object; null for none. */
  readonly place: string | null;
  /** A page of the documentation, as a path in the project, with an anchor where there is one; null for none. */
  readonly doc: string | null;
  /** Prints the same. */
  readonly command: string;
  /** Id of the node that it is about; null where none is. */
  readonly node: string | null;
}

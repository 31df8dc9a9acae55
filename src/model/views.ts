// What the parts tell people and scripts about themselves: the JSON that admin ports answer and that `ambientctl`
// reads.
// These shapes are contracts: fields are added, never changed.
import type { ObjectStatus } from './conditions.ts';
import type { ServiceRoutes } from './route-types.ts';
import type { NodeNetwork, Policy, ResourceIssue, Revocation, Service, Workload } from './types.ts';

/** One proxy and resource type as the controller sees it. `behindSince` is RFC 3339, null when in step. */
export interface ProxyView {
  readonly kind: 'node' | 'waypoint';
  readonly name: string;
  readonly node: string;
  readonly version: string;
  readonly ready: boolean;
  readonly inStep: boolean;
  readonly behindSince: string | null;
  /** It follows this controller; else `behindSince` is when it was last heard of. Absent in earlier versions. */
  readonly connected?: boolean;
  /** Of a node proxy: what of its node stands in the way. Absent where it has said nothing. */
  readonly findings?: readonly NodeFinding[];
  readonly types: readonly {
    readonly type: string;
    readonly applied: string;
    readonly refused: readonly { readonly resource: string; readonly reason: string }[];
  }[];
}

export interface SourceView {
  readonly path: string;
  readonly ok: boolean;
  readonly error: {
    readonly file: string;
    readonly line: number;
    readonly column: number;
    readonly message: string;
  } | null;
  /** Kinds that were read and are not used, with how many of each. */
  readonly ignored: readonly { readonly kind: string; readonly count: number }[];
  /** What is to be said of it though nothing is wrong. */
  readonly note?: string;
}

/** `GET /status` of the controller; `ambientctl status -o json`. */
export interface StatusView {
  readonly proxies: readonly ProxyView[];
  readonly sources: readonly SourceView[];
  readonly issues: readonly ResourceIssue[];
  /** What became of each route, policy and Gateway, as conditions. */
  readonly objects: readonly ObjectStatus[];
  readonly version: string;
}

/** `GET /events` of the controller: what it has told of late that a person should see, oldest first. */
export interface EventListView {
  readonly events: readonly EventView[];
}

/** An Event, as it is written into a cluster. Times are RFC 3339; '' stands for what is not known. */
export interface EventView {
  /** Of its object. */
  readonly name: string;
  readonly regarding: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
  };
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly note: string;
  readonly count: number;
  readonly firstTime: string;
  readonly lastTime: string;
}

/** `GET /mesh` of the controller: the compiled mesh. */
export interface MeshView {
  readonly workloads: readonly Workload[];
  readonly services: readonly Service[];
  readonly policies: readonly Policy[];
  readonly revocations: readonly Revocation[];
  /** Absent in the dump of a node proxy, which has none. */
  readonly routes?: readonly ServiceRoutes[];
  /** Absent in the dump of a proxy. */
  readonly nodes?: readonly NodeNetwork[];
}

/** A certificate that others are verified by, or that a server shows. Times are RFC 3339. */
export interface KeyholderView {
  readonly serial: string;
  readonly notBefore: string;
  readonly notAfter: string;
}

/** `GET /certificates` of the controller: what signs, what verifies, and what it shows itself. */
export interface CertificatesView {
  readonly roots: readonly (KeyholderView & {
    readonly subject: string;
    /** `coming`: handed out, and its issuer signs later; `going`: handed out until nothing of it is valid. */
    readonly stage: 'trusted' | 'coming' | 'going';
  })[];
  readonly issuer: KeyholderView & { readonly subject: string };
  /** When the issuer that waits begins to sign; null when none waits. */
  readonly nextIssuerFrom: string | null;
  readonly servers: readonly (KeyholderView & { readonly server: 'discovery' | 'webhook' | 'page' })[];
}

export interface CertificateView {
  readonly identity: string;
  readonly state: 'available' | 'initializing' | 'unavailable';
  readonly reason: string | null;
  /** Leaf first, then intermediates, then roots. Times are RFC 3339. */
  readonly chain: readonly {
    readonly type: 'leaf' | 'intermediate' | 'root';
    readonly serial: string;
    readonly notBefore: string;
    readonly notAfter: string;
  }[];
}

export interface ConnectionView {
  readonly id: string;
  readonly direction: 'inbound' | 'outbound';
  readonly startedAt: string;
  readonly source: PeerView;
  readonly destination: PeerView & { readonly service: string | null };
  readonly transport: 'mtls' | 'same-node' | 'plaintext';
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly thread: number;
  /** Of an HTTP request that runs at a waypoint, the oldest of them; absent for a connection. */
  readonly request?: RequestView;
}

/** What of a request is known so far; no query, which carries tokens. */
export interface RequestView {
  readonly method: string;
  readonly authority: string;
  readonly path: string;
  readonly protocol: 'http1' | 'http2' | 'grpc';
  /** What it asks to turn into, such as `websocket`; null for an ordinary request. */
  readonly upgrade: string | null;
  /** `KIND/NAMESPACE/NAME#RULE`; null where none has matched yet. */
  readonly route: string | null;
  readonly attempts: number;
  /** Null before there is an answer. */
  readonly status: number | null;
}

/** The program that saw something: a node proxy by its node, a waypoint by `NAMESPACE/NAME` of its Gateway. */
export interface ReporterView {
  readonly kind: 'node' | 'waypoint';
  readonly name: string;
  /** Its pod. */
  readonly pod: string;
}

export interface PeerView {
  readonly workload: string | null;
  readonly namespace: string | null;
  readonly identity: string | null;
  /** `IP:port`. */
  readonly address: string;
}

/**
 * One row per (reporter, source, destination, transport, flag) since start: what `ambientctl` and the demo turn into
 * edges.
 */
export interface EdgeView {
  readonly reporter: 'source' | 'destination' | 'waypoint';
  readonly source: { readonly workload: string; readonly namespace: string; readonly identity: string };
  readonly destination: {
    readonly workload: string;
    readonly namespace: string;
    readonly identity: string;
    readonly service: string;
  };
  readonly transport: 'mtls' | 'same-node' | 'plaintext';
  readonly flag: string;
  /** The policy of the last refusal, `NAMESPACE/NAME`; null when none refused. */
  readonly decidedBy: string | null;
  readonly opened: number;
  readonly closed: number;
  readonly failed: number;
  /** From the source to the destination, and back. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

/** A configuration file that is followed. */
export interface ConfigFileView {
  readonly file: string;
  /** When it was last read without fault, RFC 3339. */
  readonly readAt: string;
  /** `FILE:LINE:COLUMN: REASON` while it is not used as it stands now. */
  readonly error: string | null;
  /** Fields that differ from what the program was started with and need a restart. */
  readonly needsRestart: readonly string[];
}

/** How long turns of a thread's event loop took lately, in milliseconds: so long may an event have to wait. */
export interface LoopDelayView {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** What keeps a thread's event loop alive, by Node's names (`Timeout`, `TCPSocketWrap`, …), with how many of each. */
export type ResourcesView = Readonly<Record<string, number>>;

/** Whether applications see their clients' own addresses, per family. */
export interface ClientAddressView {
  readonly setting: 'auto' | 'on' | 'off';
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  /** Why not, where they do not; null when nothing is wrong. */
  readonly reason: string | null;
}

/** What every proxy says of itself. */
export interface ProxyDump extends MeshView {
  /** Process id of the proxy: which of two answers while one replaces the other. */
  readonly pid: number;
  readonly version: string;
  readonly ready: boolean;
  /** What readiness still waits for; empty when ready. */
  readonly pending: readonly string[];
  readonly discovery: {
    readonly connected: boolean;
    readonly since: string;
    readonly lastUpdateAt: string | null;
    readonly lastError: string | null;
    readonly fromDisk: boolean;
  };
  readonly threads: readonly {
    readonly id: number;
    readonly state: 'starting' | 'serving' | 'dead';
    readonly restarts: number;
    readonly connections: number;
    /** Back end of its TCP streams: `raw` or `socket (WHY)`; '' while it starts. */
    readonly tcp: string;
    readonly loopDelayMs: LoopDelayView;
    readonly resources: ResourcesView;
  }[];
  /** Of the main thread. */
  readonly resources: ResourcesView;
  readonly certificates: readonly CertificateView[];
  readonly connections: readonly ConnectionView[];
  readonly edges: readonly EdgeView[];
  /** What is in force. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Null when it was started without a file. */
  readonly configFile: ConfigFileView | null;
}

/** A limit of a proxy, and how much of it is in use now; null where that is not counted as a whole. */
export interface LimitView {
  readonly limit: string;
  readonly value: number;
  readonly use: number | null;
}

/** `GET /state` of a proxy: how it is doing, without what it knows and carries. Small, for those who ask often. */
export interface ProxyStateView
  extends Pick<
    ProxyDump,
    'pid' | 'version' | 'ready' | 'pending' | 'discovery' | 'threads' | 'certificates' | 'configFile'
  > {
  readonly limits: readonly LimitView[];
  /** Of a node proxy. */
  readonly capture?: Pick<NodeDump['capture'], 'state' | 'reason'>;
  readonly findings?: readonly NodeFinding[];
  /** Of a waypoint. */
  readonly ejected?: readonly EjectedView[];
  readonly refusing?: readonly RefusingView[];
}

/** `GET /edges` of a proxy: what it has counted since its start. */
export interface EdgeListView {
  readonly edges: readonly EdgeView[];
}

/** An endpoint that a waypoint sends nothing to for a while, for what came of earlier requests. Times are RFC 3339. */
export interface EjectedView {
  /** `NAMESPACE/NAME`. */
  readonly service: string;
  readonly namespace: string;
  readonly workload: string;
  /** `IP:port`. */
  readonly address: string;
  readonly since: string;
  readonly until: string;
  /** What it did, in words: `5 answers of 500 to 599 in a row`. */
  readonly reason: string;
  /** The subset that it is out of; '' for all endpoints of the service. */
  readonly subset?: string;
  /** Each data thread judges by its own requests: how many have ejected it, of how many. */
  readonly threads?: { readonly ejecting: number; readonly of: number };
}

/** A limit of a waypoint that refuses requests, or further tries of them, now. Times are RFC 3339. */
export interface RefusingView {
  /** `NAMESPACE/NAME`. */
  readonly service: string;
  readonly port: number;
  /** '' for all endpoints of the service. */
  readonly subset: string;
  readonly limit: 'retryBudget' | 'maxRetries' | 'maxRequests' | 'maxPendingRequests' | 'adaptiveConcurrency';
  /** What it stands at. */
  readonly value: number;
  readonly since: string;
  readonly lastAt: string;
  /** How much it has refused since then. */
  readonly refused: number;
  /** In words, with the field that says so. */
  readonly reason: string;
}

/** `GET /ejected` of a waypoint: small, for those who ask often. */
export interface EjectedListView {
  readonly ejected: readonly EjectedView[];
  /** Absent in answers of earlier versions. */
  readonly refusing?: readonly RefusingView[];
}

/** `GET /config_dump` of a waypoint. */
export interface WaypointDump extends ProxyDump {
  /** `NAMESPACE/NAME` of its Gateway. */
  readonly waypoint: string;
  readonly pod: string;
  /** Absent in dumps of earlier versions. */
  readonly ejected?: readonly EjectedView[];
  readonly refusing?: readonly RefusingView[];
}

/** How it stands with the redirection inside one pod's network namespace. */
export interface PodCaptureView {
  /** Of the pod, as far as they lie in the node's pod networks. */
  readonly addresses: readonly string[];
  /** The file of its network namespace. */
  readonly namespace: string;
  /**
   * `redirected`: its traffic comes to the proxy; `outside`: it is known to be outside the mesh, and is left alone;
   * `pending`: being worked on; `failed`: see `reason`, it is tried again.
   */
  readonly state: 'redirected' | 'outside' | 'pending' | 'failed';
  readonly reason: string | null;
  /** From the moment its namespace was seen with an address to its redirection; null before. */
  readonly tookMs: number | null;
}

/** `GET /config_dump` of a node proxy. */
export interface NodeDump extends ProxyDump {
  readonly node: string;
  readonly capture: {
    readonly backend: 'host' | 'pod' | 'none';
    readonly state: 'off' | 'applied' | 'failed';
    readonly verifiedAt: string | null;
    readonly reason: string | null;
    /** With the backend `pod`, one of each network namespace that looks like a pod's. */
    readonly pods: readonly PodCaptureView[];
  };
  readonly clientAddresses: ClientAddressView;
  readonly network: PodNetworkView;
  /** What of the node stands in the way of the mesh. */
  readonly findings: readonly NodeFinding[];
}

/** Something about a node that stands in the way of the mesh, or may. */
export interface NodeFinding {
  /** Stable; for scripts. */
  readonly id: string;
  /** `error`: pods are not captured as they should be; `warning`: it may be so. */
  readonly severity: 'error' | 'warning' | 'info';
  readonly text: string;
  /** What to do, in words; and as `NAME=VALUE`, where it is a setting. */
  readonly fix: string;
  readonly set: readonly string[];
  /** A page of the documentation with an anchor. */
  readonly hint: string;
}

/** Where the pods of a node are, and how that is known. */
export interface PodNetworkView {
  /**
   * `configured`: as `podCidrs` of the configuration says; `found`: by the Node object, the pods, and the node's links.
   */
  readonly source: 'configured' | 'found';
  /** Networks and addresses of this node's pods; those of the whole mesh. */
  readonly podCidrs: readonly string[];
  readonly meshCidrs: readonly string[];
  /** Bridges that pods hang on. */
  readonly bridges: readonly string[];
  /** Links of the kind that pods have, and that lead elsewhere; null where links tell nothing. */
  readonly otherLinks: readonly string[] | null;
  /** When the node was last read, RFC 3339; null before. */
  readonly readAt: string | null;
  /** Why it cannot be read; null when it can. */
  readonly reason: string | null;
}

// What the HTTP service of a waypoint asks of the process around it, and what it is told about each client's stream.
//
//   waypoint ──serve(stream, client)──▶ HttpService ──connect(target)──▶ waypoint's tunnels ══▶ endpoint
//                                            └──passThrough(stream, client)──▶ waypoint's TCP path
import type { MeshError } from '../../base/errors.ts';
import type { ByteStream } from '../../io/byte-stream.ts';
import type { MeshIndex } from '../../model/mesh-index.ts';
import type { JwtRule, ServiceRoutes } from '../../model/route-types.ts';
import type { AppProtocol, NamespacedKey, Service, SpiffeId, Workload } from '../../model/types.ts';
import type { ConnectionView, EjectedListView } from '../../model/views.ts';
import type { TokenFacts } from '../../policy/match-request.ts';
import type { RequestRecord } from '../../telemetry/access-record.ts';
import type { PolicyHits } from '../../telemetry/policy-hits.ts';
import type { RequestCounters } from '../../telemetry/request-counters.ts';
import type { Tracer } from '../../telemetry/traces/tracer.ts';
import type { RequestHead } from '../message.ts';
import type { HttpLimits } from './limits.ts';

/** Who opened a stream, and what for. One object per stream; everything that its requests have in common. */
export interface ClientInfo {
  /** Proved by its certificate; null where the hop had none. */
  readonly identity: SpiffeId | null;
  /** Null when nobody knows the address. */
  readonly workload: Workload | null;
  readonly address: string;
  readonly port: number;
  /** What was dialled: the service, its port, and the VIP. */
  readonly service: Service;
  readonly servicePort: number;
  readonly destinationAddress: string;
  /** What the port says it speaks; `unknown` is sniffed. */
  readonly protocol: AppProtocol;
  /** The pod that was dialled by its own address: `service` stands for that port of it alone. Absent for a service. */
  readonly pod?: Workload;
}

/** Where a connection is to be opened to. */
export interface EndpointTarget {
  readonly service: Service;
  readonly workload: Workload;
  readonly address: string;
  readonly targetPort: number;
  readonly timeoutMs: number;
}

/**
 * Opens a byte stream to an endpoint: a tunnel where the workload has one, else plain TCP. Calls back once, later or at
 * once; an error means that no byte has reached the application. Returns what gives up; after it nothing is called.
 */
export type ConnectEndpoint = (
  target: EndpointTarget,
  callback: (error: MeshError | null, stream: ByteStream | null) => void,
) => () => void;

/** The outcome of authentication and authorization. */
export interface Verdict {
  readonly allowed: boolean;
  /** 401 or 403, and what the client is told; where not allowed. */
  readonly status: number;
  readonly body: string;
  /** For `www-authenticate`; '' for none. */
  readonly challenge: string;
  /** The policy that decided, `NAMESPACE/NAME`; null where none spoke. */
  readonly decidedBy: string | null;
  /** For the access log: `audit NS/NAME#RULE`, `dry-run deny NS/NAME#RULE`. Absent for none. */
  readonly policyHits?: readonly string[];
  /** Claims of the token that was verified; null without one. */
  readonly claims: Readonly<Record<string, unknown>> | null;
  /** Tokens that are not forwarded, claims that go into headers. Names in lower case. */
  readonly removeHeaders: readonly string[];
  readonly setHeaders: readonly (readonly [name: string, value: string])[];
  /** The token that was verified, and by which rule; absent without one. */
  readonly proof?: { readonly rule: JwtRule; readonly facts: TokenFacts };
  /** Set where a token in the query must not be forwarded. */
  readonly target: string | null;
}

/** Asks L7 policy and verifies tokens. */
export interface RequestJudge {
  /**
   * Returns the verdict, or null when it comes by `later` (keys have to be fetched first). `head` has its path
   * normalised in `target`.
   */
  judge(client: ClientInfo, head: RequestHead, target: string, later: (verdict: Verdict) => void): Verdict | null;
  /** True when what a request of this client is judged by has changed since one was. */
  isStale(client: ClientInfo): boolean;
  /**
   * As `judge`, for a request that `before` has let in and that still runs: a token that was believed stays so, though
   * it may have expired, as long as the rule that believed it is there.
   */
  rejudge(
    client: ClientInfo,
    head: RequestHead,
    target: string,
    before: Verdict,
    later: (verdict: Verdict) => void,
  ): Verdict | null;
}

/** Takes records of requests: `wants` first, `request` right after it. */
export interface RequestSink {
  /** `nowMs`: by `performance.now()`, when the request ended. */
  wants(failed: boolean, nowMs: number): boolean;
  request(record: RequestRecord): void;
}

export interface HttpServiceContext {
  readonly index: Pick<MeshIndex, 'serviceByKey' | 'endpointsOf'>;
  /** The waypoint's own workload, for localities; null while unknown. */
  readonly self: () => Workload | null;
  /** The same object until it changes; null for a service that has only defaults. */
  readonly routesOf: (service: NamespacedKey) => ServiceRoutes | null;
  readonly connect: ConnectEndpoint;
  /** Takes over a stream that speaks no HTTP; bytes that were read to find out are delivered first. */
  readonly passThrough: (stream: ByteStream, client: ClientInfo) => void;
  /** Null: nothing is asked. */
  readonly judge: RequestJudge | null;
  /** Asked for each request that has ended; only what it wants is made a record of. */
  readonly records: RequestSink;
  readonly counters: RequestCounters;
  readonly policyHits?: PolicyHits;
  /** Absent or null: nothing is traced. */
  readonly tracer?: Tracer | null;
  /** Writes into the log of the program; absent: nowhere. */
  readonly notice?: (message: string, fields: Readonly<Record<string, string | number>>) => void;
  readonly limits: HttpLimits;
  /** In [0, 1). */
  readonly random: () => number;
}

export interface HttpServiceStats {
  readonly connections: number;
  readonly requests: number;
  readonly upstreamConnections: number;
  readonly mirrorsDropped: number;
  readonly retries: number;
  /** Retries that budget or breaker did not let happen, by service: `NAMESPACE/NAME`. */
  readonly retriesRefused: ReadonlyMap<string, number>;
  /** Times that an endpoint was taken out of rotation. */
  readonly ejections: number;
  /** By the name of the limit: requests that it refused, or refused another try. */
  readonly limited: ReadonlyMap<string, number>;
}

/** The HTTP side of a waypoint; one per thread. */
export interface HttpService {
  /** Serves a client's stream, whatever it speaks, until it ends. */
  serve(stream: ByteStream, client: ClientInfo): void;
  /**
   * The mesh or the routes have changed: connections to endpoints that went are let go of. Requests in flight keep the
   * route they began with.
   */
  meshChanged(): void;
  /** Policies have changed, or rules of tokens: requests in flight that they refuse end. */
  policiesChanged(): void;
  /** Requests that run, the oldest first, up to `max` (default 1,000). */
  views(thread: number, max?: number): ConnectionView[];
  stats(): HttpServiceStats;
  /** Endpoints that are ejected and limits that refuse, as this thread sees it. */
  strain(): EjectedListView;
  /** Clients are asked to go elsewhere; resolves when their last stream has ended or `deadlineMs` has passed. */
  drain(deadlineMs: number): Promise<void>;
  close(): void;
}

// What is known of a request while it is served: its steps read and write these fields, its record is made of them, and
// who shows or ends requests that run finds them here.
import type { MeshError } from '../../base/errors.ts';
import type { Flag } from '../../base/flags.ts';
import type { StreamTiming } from '../../io/stream-timing.ts';
import type { PathMatch, RouteRule } from '../../model/route-types.ts';
import type { Destination } from '../balance/destination.ts';
import type { Endpoint } from '../balance/endpoint.ts';
import { noHash } from '../balance/request-hash.ts';
import type { HttpProtocol, IncomingRequest, RequestHead } from '../message.ts';
import { type RequestTrace, traceOf } from '../traces/request-trace.ts';
import type { ClientInfo, Verdict } from './context.ts';
import type { Engine } from './engine.ts';
import type { Exchange } from './exchange.ts';
import type { ForwardChanges } from './forward-headers.ts';
import { GrpcMessages } from './grpc-messages.ts';
import type { Mirror } from './mirror.ts';
import { ResponseChanges } from './response-changes.ts';
import { RequestTimes } from './segments.ts';

/** The open part of an `Exchange`. */
export abstract class ExchangeState {
  readonly engine: Engine;
  readonly client: ClientInfo;
  readonly request: IncomingRequest;
  readonly head: RequestHead;
  /** Path with query, normalised: what is matched, judged, and forwarded where the route leaves it. */
  target: string;
  verdict: Verdict | null = null;
  rule: RouteRule | null = null;
  /** Headers that the client meant for this proxy. */
  consumed: readonly string[] = [];
  matchedPath: PathMatch | null = null;
  destination: Destination | null = null;
  upstreamProtocol: HttpProtocol = 'http1';
  hash = noHash;
  uncounted = false;
  changes: ForwardChanges | null = null;
  /** What the answer of an endpoint is changed by. */
  readonly responseChanges = new ResponseChanges();
  mirrors: Mirror[] | null = null;
  attempts = 0;
  status = 0;
  flag: Flag = '-';
  error: MeshError | null = null;
  decidedBy: string | null = null;
  grpcStatus = -1;
  endpoint: Endpoint | null = null;
  readonly times: RequestTimes;
  /** Null for what is not traced. */
  readonly trace: RequestTrace | null;
  bytesReceived = 0;
  bytesSent = 0;
  readonly requestMessages: GrpcMessages | null;
  readonly responseMessages: GrpcMessages | null;
  /** Neighbours among the requests that are not over; of `LiveRequests` alone. */
  newer: Exchange | null = null;
  older: Exchange | null = null;

  constructor(engine: Engine, client: ClientInfo, request: IncomingRequest, timing: StreamTiming | null) {
    this.times = new RequestTimes(request.startedAtMs, timing);
    this.engine = engine;
    this.client = client;
    this.request = request;
    this.head = request.head;
    this.trace = traceOf(engine, request.head, client);
    this.target = this.head.target;
    this.requestMessages = this.head.grpc ? new GrpcMessages() : null;
    this.responseMessages = this.head.grpc ? new GrpcMessages() : null;
  }
}

// A request that is traced, while it runs: its ids, its tries, and the headers that name the try at hand. Of a request
// that is not traced there is nothing of this kind. Spans are made at its end (`request-spans.ts`).
import type { MeshError } from '../../base/errors.ts';
import type { Flag } from '../../base/flags.ts';
import type { ServiceRoutes } from '../../model/route-types.ts';
import type { Tracer } from '../../telemetry/traces/tracer.ts';
import type { Endpoint } from '../balance/endpoint.ts';
import type { ClientInfo } from '../exchange/context.ts';
import { newSpanId, newTraceId } from '../exchange/request-ids.ts';
import type { Headers, RequestHead } from '../message.ts';
import type { FailedTry } from '../resilience/retry-rules.ts';
import { type Carriers, carriersOf, readTraceContext, type TraceContext, traceStateOf } from './trace-context.ts';

/** One try, as its span will tell it. Times are those of `performance.now()`; 0 before. */
export interface TryTrace {
  readonly spanId: string;
  readonly endpoint: Endpoint;
  readonly startedAtMs: number;
  /** Why it was made; '' for the first. */
  readonly reason: string;
  endedAtMs: number;
  /** Of the answer; 0 without one. */
  status: number;
  grpcStatus: number;
  /** Code of what it failed with, and the same in words; '' for none. */
  errorCode: string;
  error: string;
  flag: Flag;
}

type Pair = [name: string, value: string];

/** The trace of a request that has come; null where none is kept. */
export function traceOf(engine: Tracing, head: RequestHead, client: ClientInfo): RequestTrace | null {
  const { tracer } = engine;
  if (tracer === null) return null;
  const context = readTraceContext(head.headers);
  const { tracePercent } = engine.routesOf(client).routes;
  const isKept = tracer.samples(context.sampled, client.service.namespace, tracePercent);
  return isKept ? new RequestTrace(context, head.headers) : null;
}

/** What decides about traces. */
interface Tracing {
  readonly tracer: Tracer | null;
  routesOf(client: ClientInfo): { readonly routes: ServiceRoutes };
}

/** The trace of one request. */
export class RequestTrace {
  readonly traceId: string;
  /** '' for a trace that begins here. */
  readonly parentId: string;
  readonly spanId = newSpanId();
  /** `tracestate`; '' for none. */
  readonly state: string;
  readonly tries: TryTrace[] = [];
  /** Headers that are not to be passed on, and those that `carry` keeps in step. */
  readonly remove: readonly string[];
  readonly headers: readonly Pair[];
  readonly userAgent: string | null;
  #reason = '';

  constructor(context: TraceContext, headers: Headers) {
    const isNew = context.traceId === '';
    this.traceId = isNew ? newTraceId() : context.traceId;
    this.parentId = context.parentId;
    this.state = isNew ? '' : traceStateOf(headers);
    // State that belongs to another trace, or that nobody can read, must not be taken for this one's.
    this.remove = this.state === '' && headers.has('tracestate') ? ['tracestate'] : [];
    this.userAgent = headers.get('user-agent');
    this.headers = pairsFor(carriersOf(headers));
  }

  /** Writes the try that is under way into the headers; before the first, a copy of the request is not sampled. */
  carry(): void {
    const current = this.tries.at(-1);
    const spanId = current?.spanId ?? this.spanId;
    const decision = current === undefined ? '0' : '1';
    for (const pair of this.headers) pair[1] = this.#valueOf(pair[0], spanId, decision);
  }

  #valueOf(name: string, spanId: string, decision: string): string {
    switch (name) {
      case 'traceparent':
        return `00-${this.traceId}-${spanId}-0${decision}`;
      case 'b3':
        return `${this.traceId}-${spanId}-${decision}-${this.spanId}`;
      case 'x-b3-traceid':
        return this.traceId;
      case 'x-b3-spanid':
        return spanId;
      case 'x-b3-parentspanid':
        return this.spanId;
      default:
        return decision;
    }
  }

  beginTry(endpoint: Endpoint, nowMs: number): void {
    const reason = this.#reason;
    const ids = { spanId: newSpanId(), endpoint, startedAtMs: nowMs, reason };
    this.tries.push({ ...ids, endedAtMs: 0, status: 0, grpcStatus: -1, errorCode: '', error: '', flag: '-' });
  }

  answered(status: number, grpcStatus: number): void {
    const current = this.tries.at(-1)!;
    current.status = status;
    current.grpcStatus = grpcStatus;
  }

  failed(error: MeshError): void {
    const current = this.tries.at(-1)!;
    current.errorCode = error.code;
    current.error = error.message;
    current.flag = error.flag;
  }

  /** The try that was under way is over, and another one will be made for what it ended with. */
  retried({ end, status, grpcStatus }: FailedTry, nowMs: number): void {
    const current = this.tries.at(-1)!;
    current.endedAtMs = nowMs;
    if (end !== 'answer') this.#reason = end;
    else this.#reason = grpcStatus > 0 ? `grpc-status ${grpcStatus}` : `status ${status}`;
  }
}

function pairsFor({ w3c, b3, b3Multi }: Carriers): Pair[] {
  const names = [
    ...(w3c ? ['traceparent'] : []),
    ...(b3 ? ['b3'] : []),
    ...(b3Multi ? ['x-b3-traceid', 'x-b3-spanid', 'x-b3-parentspanid', 'x-b3-sampled'] : []),
  ];
  return names.map((name) => [name, '']);
}

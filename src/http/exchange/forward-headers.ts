// The headers that a waypoint adds to a request on its way, all of them; what is not here passes untouched.
//
//   x-request-id           where the client brought none
//   traceparent            where the client brought neither it nor b3; of what is traced, the try's, also in b3
//   x-forwarded-proto      where the client brought none
//   x-envoy-attempt-count  which try this is, for whoever might try again further on
//   x-envoy-original-path  where the path was rewritten
//   x-forwarded-client-cert  the client's identity, where that is switched on
import type { HeaderEdits } from '../../model/route-types.ts';
import { parseTraceparent } from '../../tunnel/traceparent.ts';
import type { RequestChanges, RequestHead } from '../message.ts';
import { attemptHeader } from '../resilience/retry-rules.ts';
import type { RequestTrace } from '../traces/request-trace.ts';
import { newRequestId, newTraceparentHeader } from './request-ids.ts';

type Pair = readonly [name: string, value: string];

/** What a request becomes, whatever try it is. */
export interface ForwardPlan {
  readonly edits: HeaderEdits;
  readonly target: string | null;
  readonly authority: string | null;
  /** Removed and set besides what the route says: tokens, claims. */
  readonly remove: readonly string[];
  readonly set: readonly Pair[];
  /** `x-forwarded-client-cert`; null to leave it. */
  readonly clientCert: string | null;
}

/** Changes that all tries have in common; the id is the request's from here on. */
export class ForwardChanges implements RequestChanges {
  readonly method = null;
  readonly target: string | null;
  readonly authority: string | null;
  readonly remove: readonly string[];
  readonly add: readonly Pair[];
  readonly requestId: string;
  /** As the client brought it; null where it did not. */
  readonly traceparent: string | null;
  readonly set: readonly Pair[];
  readonly #attempt: [name: string, value: string] = [attemptHeader, '1'];
  /** As it goes on, where the request is not traced here. */
  #traceparent: string | null;
  #isNewTrace = false;
  readonly #attemptBase: number;
  readonly #trace: RequestTrace | null;

  /** `attemptBase`: which try the request was already when it came, from 1. */
  constructor(head: RequestHead, plan: ForwardPlan, attemptBase: number, trace: RequestTrace | null = null) {
    const { headers } = head;
    const { edits } = plan;
    this.target = plan.target;
    this.authority = plan.authority;
    const remove = plan.remove.length === 0 ? edits.remove : [...plan.remove, ...edits.remove];
    this.remove = trace === null || trace.remove.length === 0 ? remove : [...trace.remove, ...remove];
    this.#trace = trace;
    this.add = edits.add;
    this.#attemptBase = attemptBase;
    const set: Pair[] = [this.#attempt];
    const given = headers.get('x-request-id');
    this.requestId = given ?? newRequestId();
    if (given === null) set.push(['x-request-id', this.requestId]);
    this.traceparent = headers.get('traceparent');
    this.#traceparent = this.traceparent;
    if (trace !== null) set.push(...trace.headers);
    else if (this.traceparent === null && !headers.has('b3') && !headers.has('x-b3-traceid')) {
      this.#traceparent = newTraceparentHeader();
      this.#isNewTrace = true;
      set.push(['traceparent', this.#traceparent]);
    }
    if (!headers.has('x-forwarded-proto')) set.push(['x-forwarded-proto', head.scheme]);
    if (plan.clientCert !== null) set.push(['x-forwarded-client-cert', plan.clientCert]);
    for (const pair of plan.set) set.push(pair);
    for (const pair of edits.set) set.push(pair);
    this.set = set;
  }

  /** Of the `traceparent` that goes on; null where there is none that can be read. */
  get traceId(): string | null {
    if (this.#traceparent === null) return null;
    if (this.#isNewTrace) return this.#traceparent.slice(3, 35);
    return parseTraceparent(this.#traceparent)?.traceId ?? null;
  }

  /** Says in the head which try it is, from 1. */
  numbered(attempt: number): this {
    this.#attempt[1] = String(Math.max(attempt, this.#attemptBase));
    this.#trace?.carry();
    return this;
  }
}

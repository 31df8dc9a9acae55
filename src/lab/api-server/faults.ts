// Faults on purpose, for tests of clients: answers that are refused or late. See also `ApiServer` for watches that end,
// history that is forgotten, and restarts.
import type { ServerResponse } from 'node:http';
import type { Clock } from '../../base/clock.ts';
import { ApiFailure } from './failure.ts';

/** Which requests: those that agree with every field given. */
export interface RequestMatch {
  readonly verb?: string;
  /** Plural. */
  readonly resource?: string;
  readonly method?: string;
  readonly path?: RegExp;
}

export interface Fault {
  readonly match?: RequestMatch;
  /** Answer this instead: 429, 500, 503, or any other code. */
  readonly status?: number;
  /** `Retry-After` of that answer. */
  readonly retryAfterS?: number;
  /** Wait before anything else. */
  readonly delayMs?: number;
  /** Cut the connection instead of answering. */
  readonly cut?: boolean;
  /** How many requests it meets; every one until it is removed, by default. */
  readonly times?: number;
}

export interface FaultyRequest {
  readonly method: string;
  readonly path: string;
  readonly verb: string | null;
  readonly resource: string | null;
}

interface ActiveFault extends Fault {
  left: number;
}

/** The faults that are in force. */
export class Faults {
  readonly #clock: Clock;
  readonly #active = new Set<ActiveFault>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Begins a fault; the returned function ends it. */
  add(fault: Fault): () => void {
    const active = { ...fault, left: fault.times ?? Number.POSITIVE_INFINITY };
    this.#active.add(active);
    return () => this.#active.delete(active);
  }

  /** Ends all. */
  clear(): void {
    this.#active.clear();
  }

  /** Waits, cuts or throws as the faults want that meet this request. True when the connection was cut. */
  async meet(request: FaultyRequest, response: ServerResponse): Promise<boolean> {
    for (const fault of [...this.#active]) {
      if (!isMet(fault.match ?? {}, request)) continue;
      fault.left--;
      if (fault.left <= 0) this.#active.delete(fault);
      const { delayMs = 0, cut = false, status, retryAfterS } = fault;
      if (delayMs > 0) await new Promise<void>((resolve) => this.#clock.after(delayMs, resolve));
      if (cut) {
        response.socket?.destroy();
        return true;
      }
      if (status !== undefined) throw faultFailure(status, retryAfterS);
    }
    return false;
  }
}

const reasons: Readonly<Record<number, string>> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Expired',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

function faultFailure(status: number, retryAfterS: number | undefined): ApiFailure {
  const details = retryAfterS === undefined ? {} : { retryAfterSeconds: retryAfterS };
  return new ApiFailure(status, reasons[status] ?? 'Unknown', 'a fault that was asked for', details);
}

function isMet(match: RequestMatch, request: FaultyRequest): boolean {
  return (
    (match.verb === undefined || match.verb === request.verb) &&
    (match.resource === undefined || match.resource === request.resource) &&
    (match.method === undefined || match.method === request.method) &&
    (match.path === undefined || match.path.test(request.path))
  );
}

// Where the time of a request goes: what the proxies at both ends have told (`io/stream-timing.ts`), and what the
// waypoint measures itself. All of it adds up to the whole; what nobody can tell is the application's.
//
//   client's proxy ─wire─▶ waypoint ─wire─▶ destination's proxy ──▶ application
import type { StreamTiming } from '../../io/stream-timing.ts';
import type { RequestSegments } from '../../telemetry/access-record.ts';

/** A try as its time goes. */
export interface TimedTry {
  readonly startedAtMs: number;
  /** Of the connection that it was given to; null where the endpoint's proxy tells nothing, or there is none. */
  readonly timing: StreamTiming | null;
  /** Nothing else was sent on that connection since. */
  readonly alone: boolean;
}

/** The times of one request, by `performance.now()`. */
export class RequestTimes {
  readonly startedAtMs: number;
  /** When the request was given to a connection, and when the head of its answer came; 0 before. */
  sentAtMs = 0;
  headAtMs = 0;
  /** When the last bytes of the request went to the endpoint, as far as they went before the answer. */
  askedAtMs = 0;
  readonly #clientProxyMs: number | null;
  #wireMs: number | null = null;
  #destinationProxyMs: number | null = null;
  /** What came may have waited so long for this thread. */
  #lateMs = 0;
  /** What of the time before `sentAtMs` went into opening the connection. */
  #openingMs = 0;
  readonly #beforeMs: number;

  /** `client`: of the stream that the request came on; null where its proxy tells nothing. */
  constructor(startedAtMs: number, client: StreamTiming | null) {
    this.startedAtMs = startedAtMs;
    if (client === null) {
      this.#clientProxyMs = null;
      this.#beforeMs = 0;
      return;
    }
    this.#clientProxyMs = client.proxyMs + client.setUpMs;
    this.#wireMs = client.wireMs + client.openMs;
    this.#lateMs = client.lateMs;
    this.#beforeMs = this.#clientProxyMs + this.#wireMs + this.#lateMs;
    client.taken();
  }

  /** The request was given to a connection, at `nowMs`. */
  sent(attempt: TimedTry, nowMs: number): void {
    this.sentAtMs = nowMs;
    this.askedAtMs = nowMs;
    this.#openingMs = 0;
    const { timing } = attempt;
    if (timing === null) return;
    this.#openingMs = Math.min(timing.openedInMs, nowMs - attempt.startedAtMs);
    timing.openedInMs = 0;
  }

  /** The head of the answer has come, at `nowMs`. */
  answered({ timing, alone }: TimedTry, nowMs: number): void {
    this.headAtMs = nowMs;
    if (timing === null) return;
    const { proxyMs, applicationMs, setUpMs, roundTripMs } = timing;
    const waitedMs = nowMs - this.askedAtMs;
    const behindMs = Math.min(proxyMs, waitedMs);
    // Of requests that share a stream nobody knows whose bytes are whose: the way takes them as long as it took others.
    const onWireMs = Math.min(alone ? waitedMs - behindMs - applicationMs : roundTripMs, waitedMs - behindMs);
    const lateMs = Math.min(timing.lateMs, Math.max(onWireMs, 0));
    const connectMs = Math.min(setUpMs, this.#openingMs);
    timing.taken();
    this.#lateMs += lateMs;
    this.#destinationProxyMs = behindMs + connectMs;
    this.#wireMs = (this.#wireMs ?? 0) + Math.max(onWireMs, 0) - lateMs + this.#openingMs - connectMs;
  }

  /** From the first byte here to the head of the answer; -1 without one. */
  get headLatencyMs(): number {
    return this.headAtMs === 0 ? -1 : this.headAtMs - this.startedAtMs;
  }

  /** From the first byte in the hands of the client's proxy until `nowMs`. */
  wholeMs(nowMs: number): number {
    return this.#beforeMs + nowMs - this.startedAtMs;
  }

  /** Adds up to `wholeMs(nowMs)`. */
  segments(nowMs: number): RequestSegments {
    const clientProxy = rounded(this.#clientProxyMs);
    const wire = rounded(this.#wireMs);
    const destinationProxy = rounded(this.#destinationProxyMs);
    if (this.sentAtMs === 0) {
      const waypoint = rounded(nowMs - this.startedAtMs + this.#lateMs);
      return { clientProxy, wire, waypoint, destinationProxy, application: null };
    }
    // Opening a connection is the way's where its other end tells of it.
    const openingMs = this.#destinationProxyMs === null ? 0 : this.#openingMs;
    const waypointMs = Math.max(this.sentAtMs - this.startedAtMs, 0) - openingMs + this.#lateMs;
    const othersMs =
      (this.#clientProxyMs ?? 0) + (this.#wireMs ?? 0) + (this.#destinationProxyMs ?? 0) + Math.max(waypointMs, 0);
    const application = rounded(Math.max(this.wholeMs(nowMs) - othersMs, 0));
    return { clientProxy, wire, waypoint: rounded(Math.max(waypointMs, 0)), destinationProxy, application };
  }

  /** The value of `server-timing`, up to the head of the answer; what is unknown is left out. */
  serverTiming(): string {
    const { clientProxy, wire, waypoint, destinationProxy, application } = this.segments(this.headAtMs);
    const parts: string[] = [];
    const add = (name: string, ms: number | null): void => {
      if (ms !== null) parts.push(`${name};dur=${ms.toFixed(2)}`);
    };
    add('client-proxy', clientProxy);
    add('wire', wire);
    add('waypoint', waypoint);
    add('destination-proxy', destinationProxy);
    add('application', application);
    return parts.join(', ');
  }
}

function rounded(ms: number): number;
function rounded(ms: number | null): number | null;
function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms * 1000) / 1000;
}

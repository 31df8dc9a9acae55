// Tells a waypoint how long a request and its answer were in the hands of a node's proxy, ahead of the bytes. The proxy
// sees bytes, no requests: a request begins with the first bytes after an answer, and the other way round. Where
// several requests share a stream there are no such turns, so figures are told again every few milliseconds.
import { type LoopLateness, threadLateness } from '../io/loop-lateness.ts';
import type { StreamTiming } from '../io/stream-timing.ts';

/** What a splice tells of each chunk, before it writes it. */
export interface SpliceObserver {
  onChunk(fromSource: boolean): void;
}

/** Time of the connection before its streams were joined. */
export interface Preparation {
  /** In this proxy's own hands: accepted, held, judged, connected to the pod. */
  readonly setUpMs: number;
  /** Waiting for the tunnel; 0 at the destination. */
  readonly openMs: number;
}

/** A request's bytes that come later than this after the streams were joined have waited for nothing before. */
const promptMs = 50;
const requestIntervalMs = 10;
const answerIntervalMs = 1;

interface Clocks {
  readonly nowMs: () => number;
  readonly lateness: Pick<LoopLateness, 'lateMs'>;
}

const ownClocks: Clocks = { nowMs: () => performance.now(), lateness: threadLateness };

/** At the proxy of the client's node: the source is the pod, the destination the waypoint. */
export class RequestTurns implements SpliceObserver {
  readonly #timing: StreamTiming;
  readonly #clocks: Clocks;
  #preparation: Preparation | null;
  /** When the answer's last bytes went to the pod; at first, when the streams were joined. */
  #answeredAtMs: number;
  #isTurn = true;
  #toldAtMs = 0;

  constructor(timing: StreamTiming, preparation: Preparation, clocks: Clocks = ownClocks) {
    this.#timing = timing;
    this.#clocks = clocks;
    this.#preparation = preparation;
    this.#answeredAtMs = clocks.nowMs();
    clocks.lateness.lateMs(this.#answeredAtMs);
  }

  onChunk(fromSource: boolean): void {
    const nowMs = this.#clocks.nowMs();
    if (!fromSource) {
      this.#answeredAtMs = nowMs;
      this.#isTurn = true;
      return;
    }
    if (!this.#isTurn && nowMs - this.#toldAtMs < requestIntervalMs) return;
    const sinceMs = nowMs - this.#answeredAtMs;
    // Who waits for an answer before it asks again cannot have waited longer than since that answer.
    const proxyMs = Math.min(this.#clocks.lateness.lateMs(nowMs), sinceMs);
    const before = this.#preparation;
    this.#preparation = null;
    const { setUpMs, openMs } = before !== null && sinceMs < promptMs ? before : none;
    this.#isTurn = false;
    this.#toldAtMs = nowMs;
    this.#timing.tell({ proxyMs, setUpMs, openMs, applicationMs: 0 });
  }
}

/** At the proxy of the endpoint's node: the source is the waypoint, the destination the pod. */
export class AnswerTurns implements SpliceObserver {
  readonly #timing: StreamTiming;
  readonly #clocks: Clocks;
  #preparation: Preparation | null;
  #askedAtMs: number;
  /** Of the first bytes of the request at hand. */
  #lateMs = 0;
  #isAsking = false;
  #toldAtMs = 0;

  constructor(timing: StreamTiming, preparation: Preparation, clocks: Clocks = ownClocks) {
    this.#timing = timing;
    this.#clocks = clocks;
    this.#preparation = preparation;
    this.#askedAtMs = clocks.nowMs();
    clocks.lateness.lateMs(this.#askedAtMs);
  }

  onChunk(fromSource: boolean): void {
    const nowMs = this.#clocks.nowMs();
    if (fromSource) {
      if (!this.#isAsking) this.#lateMs = this.#clocks.lateness.lateMs(nowMs);
      this.#isAsking = true;
      this.#askedAtMs = nowMs;
      return;
    }
    if (!this.#isAsking && nowMs - this.#toldAtMs < answerIntervalMs) return;
    const sinceMs = nowMs - this.#askedAtMs;
    const lateMs = Math.min(this.#clocks.lateness.lateMs(nowMs), sinceMs);
    const setUpMs = this.#preparation?.setUpMs ?? 0;
    this.#preparation = null;
    this.#isAsking = false;
    this.#toldAtMs = nowMs;
    this.#timing.tell({ proxyMs: this.#lateMs + lateMs, setUpMs, openMs: 0, applicationMs: sinceMs - lateMs });
  }
}

const none: Preparation = { setUpMs: 0, openMs: 0 };

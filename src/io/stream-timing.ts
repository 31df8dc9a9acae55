// What the two ends of a tunnel's stream know of where the time of its requests goes. Kept at streams between proxies
// of ours that carry HTTP to or from a waypoint; all others have none. `h2/timing.ts` carries it, `forward/turns.ts`
// tells it, `http/exchange/segments.ts` reads it.

/** What one end tells the other, ahead of the bytes that it speaks of; milliseconds. */
export interface TimingFigures {
  /** In the hands of the proxy that tells, now. */
  readonly proxyMs: number;
  /** The same before the stream could carry anything; told once. */
  readonly setUpMs: number;
  /** How long the tunnel took to open, as the client's proxy saw it; told once. */
  readonly openMs: number;
  /** From the request's last byte that was written to the application to the answer's first. */
  readonly applicationMs: number;
}

/** The connection that carries figures to the peer. */
export interface TimingLine {
  /** How long the last question to the peer's clock took; 0 before there was one. */
  readonly roundTripMs: number;
  /** Sends figures ahead of what is written to the stream from now on. */
  tell(streamId: number, figures: TimingFigures): void;
}

/** The latest figures of one stream. */
export class StreamTiming {
  /** Said by the peer. */
  proxyMs = 0;
  applicationMs = 0;
  /** From the peer's sending to our reading, by the peer's clock as far as we know it. */
  wireMs = 0;
  /** How long what the peer sent may have waited for this thread; no part of `wireMs`. */
  lateMs = 0;
  /** Peer's figures of the time before the stream carried anything, until the first request takes them. */
  setUpMs = 0;
  openMs = 0;
  /** How long it took this end to open the stream, until the first request takes it; 0 where the peer opened it. */
  openedInMs: number;
  readonly #line: TimingLine;
  readonly #streamId: number;

  constructor(line: TimingLine, streamId: number, openedInMs: number) {
    this.#line = line;
    this.#streamId = streamId;
    this.openedInMs = openedInMs;
  }

  get roundTripMs(): number {
    return this.#line.roundTripMs;
  }

  tell(figures: TimingFigures): void {
    this.#line.tell(this.#streamId, figures);
  }

  /** The peer's figures have come; `wireMs` is how long they took, of which `lateMs` may have been spent here. */
  told(figures: TimingFigures, wireMs: number, lateMs: number): void {
    this.proxyMs = figures.proxyMs;
    this.applicationMs = figures.applicationMs;
    this.setUpMs = Math.max(this.setUpMs, figures.setUpMs);
    this.openMs = Math.max(this.openMs, figures.openMs);
    this.lateMs = Math.min(lateMs, wireMs);
    this.wireMs = wireMs - this.lateMs;
  }

  /** What concerns the first request alone was used. */
  taken(): void {
    this.setUpMs = 0;
    this.openMs = 0;
    this.openedInMs = 0;
  }
}

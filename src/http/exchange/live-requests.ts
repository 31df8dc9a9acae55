// The requests of a thread that are not over. When policy changes, each is asked about again, as connections are
// (`forward/connection-tracker.ts`): one that is let in no longer ends, the others notice nothing.
import type { RequestJudge, Verdict } from './context.ts';
import type { Exchange } from './exchange.ts';

/** Requests judged again per turn of the event loop: about 1 µs each, more with many rules. */
const judgePerTurnDefault = 1024;

/** A list through the requests themselves, so that one more costs nothing but a few writes. */
export class LiveRequests {
  readonly #judgePerTurn: number;
  #newest: Exchange | null = null;
  #size = 0;
  readonly #waiting = new Set<Exchange>();
  #judging = false;

  constructor(judgePerTurn = judgePerTurnDefault) {
    this.#judgePerTurn = judgePerTurn;
  }

  get size(): number {
    return this.#size;
  }

  add(exchange: Exchange): void {
    const next = this.#newest;
    exchange.older = next;
    if (next !== null) next.newer = exchange;
    this.#newest = exchange;
    this.#size++;
  }

  /** Once for each that was added. */
  delete(exchange: Exchange): void {
    const { newer, older } = exchange;
    if (newer === null) this.#newest = older;
    else newer.older = older;
    if (older !== null) older.newer = newer;
    exchange.newer = null;
    exchange.older = null;
    this.#size--;
    if (this.#waiting.size > 0) this.#waiting.delete(exchange);
  }

  /** From the newest to the oldest; none may end meanwhile. */
  *[Symbol.iterator](): Generator<Exchange> {
    for (let at = this.#newest; at !== null; at = at.older) yield at;
  }

  /** Policy has changed: whoever it may concern is judged again, up to a batch of them within this turn. */
  policiesChanged(judge: RequestJudge): void {
    for (const exchange of this) {
      if (exchange.verdict !== null && judge.isStale(exchange.client)) this.#waiting.add(exchange);
    }
    this.#judgeBatch(judge);
  }

  #judgeBatch(judge: RequestJudge): void {
    if (this.#judging) return;
    let count = 0;
    for (const exchange of this.#waiting) {
      if (count++ >= this.#judgePerTurn) break;
      this.#waiting.delete(exchange);
      judgeAgain(judge, exchange);
    }
    if (this.#waiting.size === 0) return;
    this.#judging = true;
    setImmediate(() => {
      this.#judging = false;
      this.#judgeBatch(judge);
    });
  }
}

function judgeAgain(judge: RequestJudge, exchange: Exchange): void {
  const { client, head, target, verdict } = exchange;
  const obey = (now: Verdict): void => {
    if (!exchange.over && !now.allowed) exchange.refuse(now);
  };
  const now = judge.rejudge(client, head, target, verdict!, obey);
  if (now !== null) obey(now);
}

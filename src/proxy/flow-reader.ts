// Tells the recent flows of all data threads as lines of JSON: those that are remembered, and with `follow` those that
// come, until nobody listens any more.
import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError } from '../base/errors.ts';
import type { ReporterView } from '../model/views.ts';
import type { FlowView } from '../telemetry/access-record.ts';
import type { KeptFlow } from '../telemetry/flow-ring.ts';
import { lines, type SimpleResponse } from '../telemetry/metrics-server.ts';
import type { FlowMark, ThreadPool } from './thread-pool.ts';

/** Whoever follows sees a flow so much later at most. */
const followEveryMs = 200;
const answerDeadlineMs = 1_000;
const lastMax = 100_000;
const followersMax = 16;

/** Answers `GET /flows`. */
export class FlowReader {
  readonly #threads: Pick<ThreadPool, 'flowsSince'>;
  readonly #reporter: ReporterView;
  #followers = 0;

  constructor(threads: Pick<ThreadPool, 'flowsSince'>, reporter: ReporterView) {
    this.#threads = threads;
    this.#reporter = reporter;
  }

  /**
   * Lines of `FlowView`, oldest first: the newest `last` that are remembered (default all), and then those to come with
   * `follow=1`. Throws USAGE for another number, LIMIT_REACHED when too many follow already.
   */
  answer(url: URL, signal: AbortSignal): SimpleResponse {
    const last = wholeNumber(url.searchParams.get('last'));
    const isFollowing = url.searchParams.get('follow') === '1';
    if (isFollowing && this.#followers >= followersMax) {
      throw new MeshError('LIMIT_REACHED', { limit: 'followersMax', value: followersMax, what: 'followers of flows' });
    }
    return lines(this.#read(last, isFollowing, signal));
  }

  async *#read(last: number, isFollowing: boolean, signal: AbortSignal): AsyncIterable<string> {
    const marks = new Map<number, FlowMark>();
    // The marks are set, whatever is shown of it.
    const held = await this.#threads.flowsSince(marks, Math.max(last, 1), answerDeadlineMs);
    yield this.#text(last === 0 ? [] : held.slice(-last));
    if (!isFollowing) return;
    this.#followers++;
    try {
      while (!signal.aborted) {
        await sleep(followEveryMs, undefined, { signal }).catch(() => {});
        if (signal.aborted) return;
        const fresh = await this.#threads.flowsSince(marks, lastMax, answerDeadlineMs);
        if (fresh.length > 0) yield this.#text(fresh);
      }
    } finally {
      this.#followers--;
    }
  }

  #text(flows: readonly KeptFlow[]): string {
    const reporter = this.#reporter;
    return flows
      .map(({ record, weight }) => `${JSON.stringify({ ...record, reporter, weight } satisfies FlowView)}\n`)
      .join('');
  }
}

function wholeNumber(text: string | null): number {
  if (text === null) return lastMax;
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0) return Math.min(value, lastMax);
  throw new MeshError('USAGE', { reason: `last must be a whole number, not '${text}'` });
}

// Tells the recent flows of all data threads as lines of JSON: those that are remembered, and with `follow` those that
// come, until nobody listens any more.
import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError } from '../base/errors.ts';
import type { ReporterView } from '../model/views.ts';
import type { FlowView } from '../telemetry/access-record.ts';
import { type FlowTest, flowFilter, flowTermsOf } from '../telemetry/flow-filter.ts';
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
   * `follow=1`; of those alone that pass the fields of a filter (`fromPod=shop/web`). Throws USAGE for another number
   * or value, LIMIT_REACHED when too many follow already.
   */
  answer(url: URL, signal: AbortSignal): SimpleResponse {
    const last = wholeNumber(url.searchParams.get('last'));
    const isFollowing = url.searchParams.get('follow') === '1';
    if (isFollowing && this.#followers >= followersMax) {
      throw new MeshError('LIMIT_REACHED', { limit: 'followersMax', value: followersMax, what: 'followers of flows' });
    }
    const terms = flowTermsOf(url.searchParams);
    const wants = terms.length === 0 ? null : flowFilter(terms);
    return lines(this.#read({ last, isFollowing, wants }, signal));
  }

  async *#read({ last, isFollowing, wants }: FlowsWanted, signal: AbortSignal): AsyncIterable<string> {
    const marks = new Map<number, FlowMark>();
    // The marks are set, whatever is shown of it.
    const max = wants === null ? Math.max(last, 1) : lastMax;
    const held = this.#views(await this.#threads.flowsSince(marks, max, answerDeadlineMs), wants);
    yield textOf(last === 0 ? [] : held.slice(-last));
    if (!isFollowing) return;
    this.#followers++;
    try {
      while (!signal.aborted) {
        await sleep(followEveryMs, undefined, { signal }).catch(() => {});
        if (signal.aborted) return;
        const fresh = this.#views(await this.#threads.flowsSince(marks, lastMax, answerDeadlineMs), wants);
        if (fresh.length > 0) yield textOf(fresh);
      }
    } finally {
      this.#followers--;
    }
  }

  #views(flows: readonly KeptFlow[], wants: FlowTest | null): readonly FlowView[] {
    const reporter = this.#reporter;
    const views = flows.map(({ record, weight }): FlowView => ({ ...record, reporter, weight }));
    return wants === null ? views : views.filter(wants);
  }
}

interface FlowsWanted {
  readonly last: number;
  readonly isFollowing: boolean;
  /** Null: every flow. */
  readonly wants: FlowTest | null;
}

function textOf(flows: readonly FlowView[]): string {
  return flows.map((flow) => `${JSON.stringify(flow)}\n`).join('');
}

function wholeNumber(text: string | null): number {
  if (text === null) return lastMax;
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0) return Math.min(value, lastMax);
  throw new MeshError('USAGE', { reason: `last must be a whole number, not '${text}'` });
}

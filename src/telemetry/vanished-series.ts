// Series of workloads that are no more: they are left out of scrapes once they have stood still for a while, so that
// deployments that come and go do not add up. What was counted is kept: should one come back, it goes on from there.
import type { EdgeEnd } from './edge-counters.ts';
import type { EndNames } from './istio-labels.ts';

/** So long a series is shown after its workload has vanished and its last connection or request was counted. */
export const vanishedSeriesMs = 15 * 60_000;

interface Standstill {
  readonly figure: number;
  readonly sinceMs: number;
}

/** Decides which series a scrape shows. One for each kind of row; `text` tells rows apart. */
export class VanishedSeries<Row> {
  readonly #text: (row: Row) => string;
  readonly #figure: (row: Row) => number;
  #still = new Map<string, Standstill>();

  /** `figure` grows with everything that the row counts. */
  constructor(text: (row: Row) => string, figure: (row: Row) => number) {
    this.#text = text;
    this.#figure = figure;
  }

  /** The rows that are shown. `endsOf` are both ends of a row. */
  shown(
    rows: readonly Row[],
    endsOf: (row: Row) => readonly EdgeEnd[],
    { canonicalName }: Pick<EndNames, 'canonicalName'>,
    nowMs: number,
  ): Row[] {
    const before = this.#still;
    this.#still = new Map();
    const isGone = ({ workload, namespace }: EdgeEnd) => workload !== '' && canonicalName(namespace, workload) === null;
    return rows.filter((row) => {
      if (!endsOf(row).some(isGone)) return true;
      const text = this.#text(row);
      const figure = this.#figure(row);
      const known = before.get(text);
      const sinceMs = known?.figure === figure ? known.sinceMs : nowMs;
      this.#still.set(text, { figure, sinceMs });
      return nowMs - sinceMs < vanishedSeriesMs;
    });
  }
}

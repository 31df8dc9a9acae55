// Who was seen calling whom, for the linter, as `ambientctl edges` says it; and whether there is anybody new.
import { type EdgeSummary, partyKey, summarizeEdges } from '../../analyze/edge-summary.ts';
import type { EdgeListView } from '../../model/views.ts';

/** Pairs as the proxies last told. */
export class SeenPairs {
  #edges: readonly EdgeSummary[] = [];
  #keys: ReadonlySet<string> = new Set();

  get edges(): readonly EdgeSummary[] {
    return this.#edges;
  }

  /** Takes what every proxy says. Returns true when there is a pair now that was not there before. */
  take(lists: readonly EdgeListView[]): boolean {
    this.#edges = summarizeEdges(lists);
    const keys = new Set(this.#edges.map(keyOf));
    const isNew = !keys.isSubsetOf(this.#keys);
    this.#keys = keys;
    return isNew;
  }
}

/** Without the figures, which grow all the time. */
function keyOf({ from, to, transport, refused }: EdgeSummary): string {
  return [partyKey(from, ''), partyKey(to, to.service), transport, refused > 0].join(' ');
}

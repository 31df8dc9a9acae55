// Who was seen calling whom, for the linter: what node proxies have counted, without the figures that change all the
// time.
import type { SeenEdge } from '../../analyze/seen-edges.ts';
import type { EdgeListView, EdgeView } from '../../model/views.ts';

const policyFlags: readonly string[] = ['DENY', 'POLICY_CHANGE'];

/** Pairs as the proxies last told. */
export class SeenPairs {
  #pairs: ReadonlyMap<string, SeenEdge> = new Map();

  get edges(): readonly SeenEdge[] {
    return [...this.#pairs.values()];
  }

  /** Takes what every proxy says. Returns true when there is a pair now that was not there before. */
  take(lists: readonly EdgeListView[]): boolean {
    const pairs = new Map<string, SeenEdge>();
    for (const edge of lists.flatMap((list) => list.edges)) {
      if (!isCounted(edge)) continue;
      const seen = seenOf(edge);
      const { from, to, transport, refused } = seen;
      const words = [from.namespace, from.workload, to.namespace, to.workload, to.service, transport, refused > 0];
      pairs.set(words.join(' '), seen);
    }
    const isNew = [...pairs.keys()].some((key) => !this.#pairs.has(key));
    this.#pairs = pairs;
    return isNew;
  }
}

/** Both ends tell of a tunnelled connection. */
function isCounted({ reporter, transport }: EdgeView): boolean {
  return reporter === 'source' || (reporter === 'destination' && transport === 'plaintext');
}

function seenOf({ source, destination, transport, flag, opened, failed }: EdgeView): SeenEdge {
  return {
    from: { namespace: source.namespace, workload: source.workload },
    to: { namespace: destination.namespace, workload: destination.workload, service: destination.service },
    transport,
    opened,
    refused: policyFlags.includes(flag) ? failed : 0,
  };
}

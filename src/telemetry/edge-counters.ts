// Plain numeric counters of a data thread, one row per (reporter, source, destination, service, transport, flag). The
// main thread adds the rows of all threads up and turns them into metrics and edges.
//
// `opened` and the bytes of a connection count on the row with flag '-', from its first byte on; `closed` and
// `failed` on the row of the flag it ended with. So all figures only ever grow, and opened − Σ closed is what is open
// now.
import type { Flag } from '../base/flags.ts';
import type { EdgeView } from '../model/views.ts';

/** Who talks: names as they label a series, '' where unknown. */
export interface EdgeEnd {
  readonly workload: string;
  readonly namespace: string;
  readonly identity: string;
}

export interface EdgeKey {
  readonly reporter: 'source' | 'destination' | 'waypoint';
  readonly source: EdgeEnd;
  readonly destination: EdgeEnd;
  readonly service: string;
  readonly transport: EdgeView['transport'];
  readonly flag: Flag;
}

/** One row of counters, written in place. */
export interface EdgeRow {
  readonly key: EdgeKey;
  decidedBy: string | null;
  opened: number;
  closed: number;
  failed: number;
  bytesSent: number;
  bytesReceived: number;
}

/** Rows of one thread; above this many, what is new is counted under nameless ends, so that memory stays bounded. */
export const edgeRowsMax = 20_000;

const nobody: EdgeEnd = { workload: '', namespace: '', identity: '' };

/** The edge counters of one data thread. */
export class EdgeCounters {
  readonly #rowsMax: number;
  readonly #rows = new Map<string, EdgeRow>();

  /** Look-ups of rows that there was no room for. */
  folded = 0;

  constructor(rowsMax = edgeRowsMax) {
    this.#rowsMax = rowsMax;
  }

  /** The row to count on; made when it is not there yet. Look it up once per event of a connection, never per chunk. */
  row(key: EdgeKey): EdgeRow {
    const found = this.#rows.get(textOf(key));
    if (found !== undefined) return found;
    if (this.#rows.size < this.#rowsMax) return this.#make(key);
    this.folded++;
    const nameless: EdgeKey = { ...key, source: nobody, destination: nobody, service: '' };
    return this.#rows.get(textOf(nameless)) ?? this.#make(nameless);
  }

  get size(): number {
    return this.#rows.size;
  }

  views(): EdgeView[] {
    return Array.from(this.#rows.values(), viewOf);
  }

  #make(key: EdgeKey): EdgeRow {
    const row: EdgeRow = { key, decidedBy: null, opened: 0, closed: 0, failed: 0, bytesSent: 0, bytesReceived: 0 };
    this.#rows.set(textOf(key), row);
    return row;
  }
}

function viewOf(row: EdgeRow): EdgeView {
  const { reporter, source, destination, service, transport, flag } = row.key;
  return {
    reporter,
    source: { ...source },
    destination: { ...destination, service },
    transport,
    flag,
    decidedBy: row.decidedBy,
    opened: row.opened,
    closed: row.closed,
    failed: row.failed,
    bytesSent: row.bytesSent,
    bytesReceived: row.bytesReceived,
  };
}

function textOf(key: EdgeKey): string {
  const { source, destination } = key;
  return `${key.reporter}\n${source.workload}\n${source.namespace}\n${source.identity}\n${destination.workload}\n${
    destination.namespace
  }\n${destination.identity}\n${key.service}\n${key.transport}\n${key.flag}`;
}

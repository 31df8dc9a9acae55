// Turns the life of a connection into edge counters: which rows, and what to add when. A same-node connection is seen
// by one proxy only, which therefore reports for both ends.
import { type Flag, policyFlags } from '../base/flags.ts';
import type { EdgeCounters, EdgeEnd, EdgeKey, EdgeRow } from '../telemetry/edge-counters.ts';
import type { Connection, Peer } from './connection.ts';

/** Counts connections on the rows of `EdgeCounters`. */
export class EdgeRecorder {
  readonly #edges: EdgeCounters;
  readonly #reporter: EdgeKey['reporter'] | null;

  /** `reporter` for all of them; null: by the direction of each. */
  constructor(edges: EdgeCounters, reporter: EdgeKey['reporter'] | null = null) {
    this.#edges = edges;
    this.#reporter = reporter;
  }

  opened(connection: Connection): void {
    connection.rows = this.#rows(connection, '-');
    for (const row of connection.rows) row.opened++;
  }

  /** Adds the bytes carried since the last call. */
  countBytes(connection: Connection): void {
    const sent = connection.bytesSent - connection.countedSent;
    const received = connection.bytesReceived - connection.countedReceived;
    connection.countedSent += sent;
    connection.countedReceived += received;
    for (const row of connection.rows) {
      row.bytesSent += sent;
      row.bytesReceived += received;
    }
  }

  finished(connection: Connection, flag: Flag): void {
    this.countBytes(connection);
    const rows = connection.opened && flag === '-' ? connection.rows : this.#rows(connection, flag);
    for (const row of rows) {
      if (connection.opened) row.closed++;
      else row.failed++;
      if (policyFlags.has(flag)) row.decidedBy = connection.decidedBy;
    }
  }

  #rows(connection: Connection, flag: Flag): readonly EdgeRow[] {
    const { direction, transport } = connection;
    const key: EdgeKey = {
      reporter: this.#reporter ?? (direction === 'outbound' ? 'source' : 'destination'),
      source: endOf(connection.source),
      destination: endOf(connection.destination),
      service: connection.service?.hostname ?? '',
      transport,
      flag,
    };
    const row = this.#edges.row(key);
    return transport === 'same-node' ? [row, this.#edges.row({ ...key, reporter: 'destination' })] : [row];
  }
}

function endOf(peer: Peer): EdgeEnd {
  return {
    workload: peer.workload?.workloadName ?? '',
    namespace: peer.workload?.namespace ?? '',
    identity: peer.identity ?? '',
  };
}

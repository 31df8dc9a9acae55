// Pooled HBONE sessions: CONNECT streams to peer proxies, few TLS connections per (identity, peer).
import { MeshError } from '../base/errors.ts';
import type { TunnelPool } from './types.ts';

export interface TunnelPoolOptions {
  /** Streams that one session carries at most, if the peer does not allow fewer. Default 100. */
  readonly streamsPerSession?: number;
  /** A session without a stream is closed after this. Default 5 min. */
  readonly idleReleaseMs?: number;
  /** Time between keepalive PINGs, and until a missing answer ends the session. Defaults 10 s and 20 s. */
  readonly pingIntervalMs?: number;
  readonly pingTimeoutMs?: number;
  /** Sessions at once; above it `open` answers `LIMIT_REACHED`. Default 4096. */
  readonly sessionsLimit?: number;
}

/** Returns a pool; one per data thread. It opens nothing before the first `open`. */
export function createTunnelPool(_options: TunnelPoolOptions = {}): TunnelPool {
  throw new MeshError('INTERNAL', { reason: 'the tunnel pool is not there yet' });
}

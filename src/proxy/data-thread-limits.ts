// The limits and times of a data thread's parts, as live views of its configuration: each part reads them at every
// use, and a change of the configuration is a change for all.
import type { ForwardConfig } from '../forward/context.ts';
import type { HoldLimits } from '../forward/hold-queue.ts';
import type { TunnelPoolOptions } from '../tunnel/pool.ts';
import type { Revocations } from '../tunnel/revoked.ts';
import type { TunnelServerOptions } from '../tunnel/server.ts';
import type { CredentialStoreOptions } from './data-thread-credentials.ts';

/** Options of the certificates of a thread. */
export function credentialOptions(
  { trustDomain, limits, timeouts }: ForwardConfig,
  ask: CredentialStoreOptions['ask'],
): CredentialStoreOptions {
  return {
    trustDomain,
    ask,
    get waitersMax() {
      return limits.heldConnectionsMax;
    },
    get waitMs() {
      return timeouts.holdUnknownPodMs;
    },
  };
}

/** Limits of what is held. */
export function holdLimits({ limits, timeouts }: ForwardConfig): HoldLimits {
  return {
    get heldConnectionsMax() {
      return limits.heldConnectionsMax;
    },
    get holdMs() {
      return timeouts.holdUnknownPodMs;
    },
  };
}

/** Options of the tunnels that are opened. */
export function poolOptions(
  { limits }: ForwardConfig,
  revocations: Revocations,
  isLocal: (address: string) => boolean,
): TunnelPoolOptions {
  return {
    revocations,
    isLocal,
    get streamsPerSession() {
      return limits.streamsPerSession;
    },
    get sessionsLimit() {
      return limits.openedSessionsMax;
    },
    get streamWindowBytes() {
      return limits.streamBufferBytes;
    },
  };
}

/** Options of the tunnels that are accepted. */
export function serverOptions(
  { limits, timeouts }: ForwardConfig,
  revocations: Revocations,
  isLocal: (address: string) => boolean,
  onHandshakeError: NonNullable<TunnelServerOptions['onHandshakeError']>,
): TunnelServerOptions {
  return {
    revocations,
    isLocal,
    onHandshakeError,
    get handshakeTimeoutMs() {
      return timeouts.handshakeMs;
    },
    get streamsPerSession() {
      return limits.acceptedStreamsPerSession;
    },
    get handshakesLimit() {
      return limits.handshakesMax;
    },
    get handshakesPerSourceLimit() {
      return limits.handshakesPerSourceMax;
    },
    get sessionsLimit() {
      return limits.acceptedSessionsMax;
    },
    get streamWindowBytes() {
      return limits.streamBufferBytes;
    },
  };
}

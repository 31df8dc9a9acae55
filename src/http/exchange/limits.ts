// Every limit of the HTTP path by its name, with its default.

export interface HttpLimits {
  /** Body kept for another try; a request with a longer one is not retried once this much has been sent. */
  readonly retryBodyBytes: number;
  /** Body of a request kept for its mirrors; a longer one is not mirrored. */
  readonly mirrorBodyBytes: number;
  /** Mirrored requests in flight; above it they are dropped. */
  readonly mirrorsInFlight: number;
  /** How long a mirrored request may take in all. */
  readonly mirrorTimeoutMs: number;
  /** How long a port of unknown protocol may stay silent until it is taken for one whose server speaks first. */
  readonly sniffTimeoutMs: number;
  /** A stream without a byte either way. */
  readonly streamIdleMs: number;
  /** An endpoint's connection without a request. */
  readonly upstreamIdleMs: number;
  readonly connectTimeoutMs: number;
  /** HTTP/2 connections to one endpoint. */
  readonly http2ConnectionsPerEndpoint: number;
  /** `x-forwarded-client-cert` names the client. */
  readonly forwardClientCert: boolean;
  /** Where paths are made canonical before they are matched and forwarded. */
  readonly pathNormalization: 'none' | 'base' | 'merge-slashes' | 'decode-and-merge-slashes';
}

export const defaultHttpLimits: HttpLimits = {
  retryBodyBytes: 64 * 1024,
  mirrorBodyBytes: 64 * 1024,
  mirrorsInFlight: 256,
  mirrorTimeoutMs: 15_000,
  sniffTimeoutMs: 200,
  streamIdleMs: 5 * 60_000,
  upstreamIdleMs: 60_000,
  connectTimeoutMs: 10_000,
  http2ConnectionsPerEndpoint: 2,
  forwardClientCert: false,
  pathNormalization: 'base',
};

// What one HTTP/1.1 connection may take of us. Every limit has a name, which the error says, and a default.
import { MeshError } from '../../base/errors.ts';

export interface H1Limits {
  /** Start line and headers together; 431. */
  readonly headBytesMax: number;
  /** Header lines; 431. */
  readonly headersMax: number;
  /** The request target as it came; 414. */
  readonly uriBytesMax: number;
  /** Trailers of a chunked body. */
  readonly trailerBytesMax: number;
  /** Chunk extensions of one body, all together. */
  readonly chunkExtensionBytesMax: number;
  /** Options in `Connection`. */
  readonly connectionOptionsMax: number;
  /** 1xx answers before the final one. */
  readonly informsMax: number;
}

export const defaultH1Limits: H1Limits = {
  headBytesMax: 64 * 1024,
  headersMax: 128,
  uriBytesMax: 16 * 1024,
  trailerBytesMax: 8 * 1024,
  chunkExtensionBytesMax: 4 * 1024,
  connectionOptionsMax: 32,
  informsMax: 32,
};

/** Why a head or a body is not taken. */
export interface Refusal {
  /** To answer a request with. */
  readonly status: number;
  readonly reason: string;
  /** The limit that was reached; null where the grammar was broken. */
  readonly limit: keyof H1Limits | null;
  readonly value: number;
}

/** A refusal of what breaks the grammar; `reason` names it. */
export function malformed(reason: string, status = 400): Refusal {
  return { status, reason, limit: null, value: 0 };
}

/** A refusal of what is too long. */
export function tooMuch(limit: keyof H1Limits, value: number, what: string, status = 431): Refusal {
  return { status, reason: what, limit, value };
}

/** The error that says why. */
export function refusalError(refusal: Refusal, code: 'REQUEST_INVALID' | 'RESPONSE_INVALID'): MeshError {
  const { limit, value, reason } = refusal;
  if (limit !== null) return new MeshError('LIMIT_REACHED', { limit, value, what: reason });
  return new MeshError(code, { reason });
}

/** How clients are served. */
export interface H1ServerOptions {
  readonly limits?: Partial<H1Limits>;
  /** A connection without a request is closed after so long. */
  readonly idleTimeoutMs?: number;
  /** When it is being drained, after so long. */
  readonly drainIdleMs?: number;
  /** From a head's first byte to its last; 408. */
  readonly headTimeoutMs?: number;
  /** How long bytes are thrown away after our own end, so that the client can read what was answered. */
  readonly lingerMs?: number;
  /** Of a body that nobody wants any more: so much is read to keep the connection. */
  readonly drainBodyBytesMax?: number;
}

/** Returns what `make` makes of options, made once for each options object. */
export function oncePerOptions<Options extends object, Made>(
  make: (options: Options) => Made,
): (options: Options) => Made {
  const known = new WeakMap<Options, Made>();
  return (options) => {
    let made = known.get(options);
    if (made === undefined) {
      made = make(options);
      known.set(options, made);
    }
    return made;
  };
}

// The one shape of a two-way byte stream: a pod's TCP connection, a TLS connection, a tunnel stream inside an HTTP/2
// session. Because all are alike, the splice of two connections is a handler that writes to the other side.
//
//   reader's memory ──onData(chunk)──▶ handler ──write(chunk)──▶ the other stream
//
// `chunk` is a view into memory that its owner reuses: it is valid during the call only, unless the callee answers
// `Retained`, which tells the owner to take fresh memory for its next read and to leave this chunk to the garbage
// collector.

import type { StreamTiming } from './stream-timing.ts';

/**
 * What a callee did with a chunk: a bit mask, so that the answer of `write` can be handed up from `onData` as it is.
 */
export const Took = {
  /** Consumed; go on. */
  All: 0,
  /** Consumed, but send no more before `onDrain`. */
  Pause: 1,
  /** Consumed, but the memory is still in use. */
  Retained: 2,
} as const;

export interface ByteStreamHandler {
  /** Bytes have arrived. Returns a mask of `Took`; with `Pause` the stream reads no more until `resume()`. */
  onData(chunk: Buffer): number;
  /** The peer will send no more (FIN, END_STREAM). The write side stays open. At most once, never after `onClose`. */
  onEnd(): void;
  /** The queue that made `write` answer `Pause` has emptied. */
  onDrain(): void;
  /**
   * Nothing more will happen on this stream; exactly once, also after `destroy` and `reset`.
   * `error` is null when both directions ended well, a `RESET_BY_…`-like MeshError or another when not;
   * `wasReset` is true when the peer aborted (TCP RST, RST_STREAM), so that the other side can be reset too.
   */
  onClose(error: Error | null, wasReset: boolean): void;
}

export interface ByteStream {
  /** Where the time of its requests goes; null or absent where nobody tells. */
  readonly timing?: StreamTiming | null;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Bytes accepted by `write` and not yet handed to the kernel or the session. */
  readonly bufferedBytes: number;
  /**
   * Attaches the handler and begins to read. Called once; nothing is read before. May be called again to hand the
   * stream to another handler.
   */
  start(handler: ByteStreamHandler): void;
  /** Queues `chunk`. Returns a mask of `Took`. After `end` or `onClose` it is a no-op that returns `All`. */
  write(chunk: Buffer): number;
  /** No more will be written: FIN or END_STREAM after what is queued. Idempotent. */
  end(): void;
  /** Aborts both directions so that the peer sees an abort: TCP RST, RST_STREAM(CONNECT_ERROR). Idempotent. */
  reset(): void;
  /** Releases everything at once, without telling the peer more than the kernel does by itself. Idempotent. */
  destroy(): void;
  pause(): void;
  resume(): void;
}

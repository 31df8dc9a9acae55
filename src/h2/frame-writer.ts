// Frames → bytes, straight into an out-queue. Every function appends whole frames, so that nothing can come between
// HEADERS and its CONTINUATIONs.
import type { OutQueue } from '../io/out-queue.ts';
import { slabBytes } from '../io/slabs.ts';
import { Flag, FrameType, frameHeaderBytes } from './constants.ts';

/** Largest payload that fits into a slab behind its header. */
export const largestPayloadBytes = slabBytes - frameHeaderBytes;

/** A DATA frame smaller than this is not squeezed into the rest of a slab: the next slab takes it. */
const worthwhileBytes = 1024;

/**
 * Appends one DATA frame with as much of `chunk[start, end)` as fits well, at most `maxBytes`; returns how much that
 * was.
 */
export function writeData(
  out: OutQueue,
  streamId: number,
  chunk: Buffer,
  start: number,
  end: number,
  maxBytes: number,
): number {
  const wanted = Math.min(end - start, maxBytes, largestPayloadBytes);
  const room = out.room - frameHeaderBytes;
  const count = room >= wanted || room < worthwhileBytes ? wanted : room;
  const slab = out.reserve(frameHeaderBytes + count);
  const at = out.position;
  putHeader(slab, at, count, FrameType.Data, 0, streamId);
  chunk.copy(slab, at + frameHeaderBytes, start, start + count);
  out.advance(frameHeaderBytes + count);
  return count;
}

/** Appends an empty DATA frame with END_STREAM. */
export function writeEnd(out: OutQueue, streamId: number): void {
  const slab = out.reserve(frameHeaderBytes);
  putHeader(slab, out.position, 0, FrameType.Data, Flag.EndStream, streamId);
  out.advance(frameHeaderBytes);
}

/** Appends HEADERS, and CONTINUATIONs where the block is longer than the peer's frames. */
export function writeHeaders(
  out: OutQueue,
  streamId: number,
  block: Buffer,
  endStream: boolean,
  maxBytes: number,
): void {
  const limit = Math.min(maxBytes, largestPayloadBytes);
  let at = 0;
  let type: number = FrameType.Headers;
  do {
    const count = Math.min(block.length - at, limit);
    const flags = (at + count === block.length ? Flag.EndHeaders : 0) | (endStream && at === 0 ? Flag.EndStream : 0);
    const slab = out.reserve(frameHeaderBytes + count);
    putHeader(slab, out.position, count, type, flags, streamId);
    block.copy(slab, out.position + frameHeaderBytes, at, at + count);
    out.advance(frameHeaderBytes + count);
    at += count;
    type = FrameType.Continuation;
  } while (at < block.length);
}

/** Appends RST_STREAM with an error code (RFC 9113 §6.4). */
export function writeRstStream(out: OutQueue, streamId: number, code: number): void {
  const slab = out.reserve(frameHeaderBytes + 4);
  putHeader(slab, out.position, 4, FrameType.RstStream, 0, streamId);
  slab.writeUInt32BE(code, out.position + frameHeaderBytes);
  out.advance(frameHeaderBytes + 4);
}

/** Appends WINDOW_UPDATE; stream 0 is the connection (§6.9). */
export function writeWindowUpdate(out: OutQueue, streamId: number, increment: number): void {
  const slab = out.reserve(frameHeaderBytes + 4);
  putHeader(slab, out.position, 4, FrameType.WindowUpdate, 0, streamId);
  slab.writeUInt32BE(increment, out.position + frameHeaderBytes);
  out.advance(frameHeaderBytes + 4);
}

/** Appends SETTINGS, or its acknowledgement when `payload` is null (§6.5). */
export function writeSettings(out: OutQueue, payload: Buffer | null): void {
  const length = payload?.length ?? 0;
  const slab = out.reserve(frameHeaderBytes + length);
  putHeader(slab, out.position, length, FrameType.Settings, payload === null ? Flag.Ack : 0, 0);
  payload?.copy(slab, out.position + frameHeaderBytes);
  out.advance(frameHeaderBytes + length);
}

/** `opaque` has eight bytes. */
export function writePing(out: OutQueue, opaque: Buffer, ack: boolean): void {
  const slab = out.reserve(frameHeaderBytes + 8);
  putHeader(slab, out.position, 8, FrameType.Ping, ack ? Flag.Ack : 0, 0);
  opaque.copy(slab, out.position + frameHeaderBytes, 0, 8);
  out.advance(frameHeaderBytes + 8);
}

/** Appends GOAWAY: streams above `lastStreamId` were not processed (§6.8). */
export function writeGoaway(out: OutQueue, lastStreamId: number, code: number): void {
  const slab = out.reserve(frameHeaderBytes + 8);
  const at = out.position;
  putHeader(slab, at, 8, FrameType.Goaway, 0, 0);
  slab.writeUInt32BE(lastStreamId, at + frameHeaderBytes);
  slab.writeUInt32BE(code, at + frameHeaderBytes + 4);
  out.advance(frameHeaderBytes + 8);
}

/** Puts the nine bytes of a frame header (RFC 9113 §4.1). */
export function putHeader(
  into: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): void {
  into[at] = length >>> 16;
  into[at + 1] = length >>> 8;
  into[at + 2] = length;
  into[at + 3] = type;
  into[at + 4] = flags;
  into[at + 5] = streamId >>> 24;
  into[at + 6] = streamId >>> 16;
  into[at + 7] = streamId >>> 8;
  into[at + 8] = streamId;
}

// What streams of chaos and soak carry: bytes that tell by themselves whether they arrived whole and in order, with a
// marker so close together that any packet in the clear shows it.

/** In the head of every stream and every 128 bytes of its body; a link with encrypted edges must not show it. */
export const marker = Buffer.from('AMBIENT-CHAOS-01', 'latin1');

export const streamKinds = ['short', 'half', 'long', 'bulk', 'reset', 'flip', 'intruder'] as const;
export type StreamKind = (typeof streamKinds)[number];

/** What a client says first. */
export interface StreamHead {
  readonly kind: StreamKind;
  readonly seed: number;
  readonly id: number;
  /** Bytes from the client, and back. */
  readonly up: number;
  readonly down: number;
  /** Of the client, as it knows it: what the proxies' records name the connection by. */
  readonly port: number;
}

export const headBytes = 32;
const markerEvery = 128;
/** A prime: no reordering of blocks of a usual size goes unseen. */
const blockBytes = 65_521;
const seedsMax = 16;
const blocks = new Map<number, Buffer>();

export function encodeHead(head: StreamHead): Buffer {
  const bytes = Buffer.alloc(headBytes);
  marker.copy(bytes);
  bytes.writeUInt8(streamKinds.indexOf(head.kind), 16);
  bytes.writeUInt8(head.seed % seedsMax, 17);
  bytes.writeUInt16BE(head.port, 18);
  bytes.writeUInt32BE(head.id, 20);
  bytes.writeUInt32BE(head.up, 24);
  bytes.writeUInt32BE(head.down, 28);
  return bytes;
}

/** Null for what is no head. */
export function decodeHead(bytes: Buffer): StreamHead | null {
  const kind = streamKinds[bytes.readUInt8(16)];
  if (kind === undefined || bytes.compare(marker, 0, marker.length, 0, marker.length) !== 0) return null;
  const [seed, port] = [bytes.readUInt8(17), bytes.readUInt16BE(18)];
  return { kind, seed, port, id: bytes.readUInt32BE(20), up: bytes.readUInt32BE(24), down: bytes.readUInt32BE(28) };
}

function blockOf(seed: number): Buffer {
  const known = blocks.get(seed);
  if (known !== undefined) return known;
  const block = Buffer.alloc(blockBytes);
  let x = (seed + 1) * 0x9e3779b1;
  for (let at = 0; at < blockBytes; at++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    block[at] = x & 255;
  }
  for (let at = 0; at + marker.length <= blockBytes; at += markerEvery) marker.copy(block, at);
  blocks.set(seed, block);
  return block;
}

/** At most `length` bytes of the endless stream of `seed` from `position` on: what can be had without copying. */
export function patternAt(seed: number, position: number, length: number): Buffer {
  const from = position % blockBytes;
  return blockOf(seed).subarray(from, Math.min(blockBytes, from + length));
}

/** True when `chunk` is what stands at `position`. */
export function isPattern(seed: number, position: number, chunk: Buffer): boolean {
  for (let at = 0; at < chunk.length; ) {
    const expected = patternAt(seed, position + at, chunk.length - at);
    if (expected.compare(chunk, at, at + expected.length) !== 0) return false;
    at += expected.length;
  }
  return true;
}

// Hashing for consistent balancing: 32 bits, the same on every waypoint, good enough to spread over rings and tables.
// Not for secrets.

/** A text's hash, 0 to 2^32 - 1 (FNV-1a over UTF-16 units, then mixed). */
export function hashText(text: string, seed = 0): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return mixHash(hash);
}

/** Spreads close numbers over all 32 bits (the finalizer of MurmurHash3). */
export function mixHash(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

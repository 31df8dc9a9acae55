// The `traceparent` header (W3C Trace Context): an id that both proxies put into their access logs.
import { randomFillSync } from 'node:crypto';

export interface Traceparent {
  /** 32 lower-case hex digits. */
  readonly traceId: string;
  /** 16 lower-case hex digits. */
  readonly parentId: string;
  readonly sampled: boolean;
}

const pattern = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/;

// Random bytes are drawn in bulk: one call into OpenSSL per connection is dear.
const idBytes = 24;
const pool = Buffer.allocUnsafeSlow(idBytes * 128);
let poolAt = pool.length;

/** A fresh `00-<32hex>-<16hex>-00`, not sampled. `random` fills its argument; tests inject it. */
export function newTraceparent(random?: (into: Buffer) => void): string {
  if (random !== undefined) {
    const own = Buffer.alloc(idBytes);
    random(own);
    return format(own, 0);
  }
  if (poolAt === pool.length) {
    randomFillSync(pool);
    poolAt = 0;
  }
  poolAt += idBytes;
  return format(pool, poolAt - idBytes);
}

/** Reads a header of exactly 55 characters; null for anything else (ambient-l4 §1.3: then a new one is made). */
export function parseTraceparent(text: string): Traceparent | null {
  const match = pattern.exec(text);
  if (match === null) return null;
  return { traceId: match[1]!, parentId: match[2]!, sampled: (Number.parseInt(match[3]!, 16) & 1) === 1 };
}

function format(bytes: Buffer, at: number): string {
  const hex = bytes.toString('hex', at, at + idBytes);
  return `00-${hex.slice(0, 32)}-${hex.slice(32)}-00`;
}

// Ids for requests that bring none. Random bytes are drawn and turned into hex in bulk: a request takes a cut of it.
import { randomFillSync } from 'node:crypto';

const bytes = Buffer.allocUnsafeSlow(4096);
let hex = '';
let at = 0;

/** A fresh UUID (version 4, RFC 9562 §5.4). */
export function newRequestId(): string {
  const from = take(32);
  // The variant's two bits: 8, 9, a or b.
  const variant = variants[hex.charCodeAt(from + 16) & 3]!;
  return (
    `${hex.slice(from, from + 8)}-${hex.slice(from + 8, from + 12)}-4${hex.slice(from + 13, from + 16)}-` +
    `${variant}${hex.slice(from + 17, from + 20)}-${hex.slice(from + 20, from + 32)}`
  );
}

/** A fresh `traceparent`, not sampled (W3C Trace Context). */
export function newTraceparentHeader(): string {
  const from = take(48);
  return `00-${hex.slice(from, from + 32)}-${hex.slice(from + 32, from + 48)}-00`;
}

/** A fresh id of a trace: 32 hex digits. */
export function newTraceId(): string {
  const from = take(32);
  return hex.slice(from, from + 32);
}

/** A fresh id of a span: 16 hex digits. */
export function newSpanId(): string {
  const from = take(16);
  return hex.slice(from, from + 16);
}

const variants = ['8', '9', 'a', 'b'] as const;

/** Where so many unused digits begin. */
function take(digits: number): number {
  if (at + digits > hex.length) {
    randomFillSync(bytes);
    hex = bytes.toString('hex');
    at = 0;
  }
  const from = at;
  at += digits;
  return from;
}

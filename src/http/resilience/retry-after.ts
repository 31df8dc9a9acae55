// `Retry-After` of an answer that is to be tried again (RFC 9110 §10.2.3): who sent it is not asked again before.
// Another endpoint may be asked at once; it has said nothing of the kind.

/** A request does not wait longer than this on behalf of its client: the answer goes to the client, who may. */
export const retryAfterMaxMs = 1_000;

/** Milliseconds that a `retry-after` of seconds or a date asks for; 0 for none and for what is neither. */
export function retryAfterMs(text: string | null, now: () => number): number {
  if (text === null) return 0;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const at = /^[A-Z][a-z]{2,8},? /.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? 0 : Math.max(at - now(), 0);
}

// Makes a request's path canonical before anything is matched against it, and forwards it so: what policy saw is what
// the application sees. Semantics of Istio's `pathNormalization`; the query stays as it came.
import type { HttpLimits } from './limits.ts';

type Mode = HttpLimits['pathNormalization'];

/** Nothing of this in a target: it is canonical already. */
const odd = /[\\%#]|\/\.|\/\//;
const escapes = /%([0-9a-fA-F]{2})/g;

/**
 * The target with its path normalised, its fragment dropped; the same string where nothing had to change. Null for a
 * path with a NUL in it, which is answered with 400.
 */
export function normalizeTarget(target: string, mode: Mode): string | null {
  if (!odd.test(target)) return target;
  const hash = target.indexOf('#');
  const whole = hash < 0 ? target : target.slice(0, hash);
  const question = whole.indexOf('?');
  const path = question < 0 ? whole : whole.slice(0, question);
  if (mode === 'none' || path[0] !== '/') return whole;
  if (path.includes('%00')) return null;
  const canonical = normalizePath(path, mode);
  return question < 0 ? canonical : canonical + whole.slice(question);
}

function normalizePath(path: string, mode: Mode): string {
  let text = path;
  if (mode === 'decode-and-merge-slashes') text = text.replace(/%2f/gi, '/').replace(/%5c/gi, '\\');
  text = text.replaceAll('\\', '/').replace(escapes, (whole, hex: string) => {
    const code = Number.parseInt(hex, 16);
    return isUnreserved(code) ? String.fromCharCode(code) : whole;
  });
  text = removeDotSegments(text);
  return mode === 'base' ? text : text.replace(/\/{2,}/g, '/');
}

/** ALPHA, DIGIT, `-` `.` `_` `~` (RFC 3986 §2.3). */
function isUnreserved(code: number): boolean {
  const isLetter = (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a);
  return isLetter || (code >= 0x30 && code <= 0x39) || code === 0x2d || code === 0x2e || code === 0x5f || code === 0x7e;
}

/** RFC 3986 §5.2.4; empty segments are segments. */
function removeDotSegments(path: string): string {
  if (!path.includes('/.')) return path;
  const kept: string[] = [];
  const segments = path.split('/');
  for (let at = 1; at < segments.length; at++) {
    const segment = segments[at]!;
    const isLast = at === segments.length - 1;
    if (segment === '.' || segment === '..') {
      if (segment === '..') kept.pop();
      if (isLast) kept.push('');
    } else kept.push(segment);
  }
  return `/${kept.join('/')}`;
}

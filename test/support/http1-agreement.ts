// Compares what we make of a client's bytes with what another server made of them: whoever takes more, or something
// else, is a place where a request could be smuggled. We may take less, for reasons that are listed here.
import { METHODS } from 'node:http';
import type { Understood, UnderstoodRequest } from '../../src/http/h1/testing-understood.ts';
import type { NodeRequest } from './node-parser.ts';

/** Where we refuse what llhttp or nginx take, by the words of the error. */
export const stricterReasons: readonly RegExp[] = [
  /^no Host$/,
  /^several Host$/,
  /^bad Host$/,
  /^Host and request target disagree$/,
  /^request target is neither a path nor an http URI$/,
  /^target \* of a method other than OPTIONS$/,
  /^bad method$/,
  /^bad request target$/,
  /^bad HTTP version$/,
  /^HTTP version is not 1\.(x|0 or 1\.1)$/,
  /^bad end of the request line$/,
  /^several Content-Length$/,
  /^bad Content-Length$/,
  /^tab beside (Content-Length|Transfer-Encoding)$/,
  /^several Transfer-Encoding$/,
  /^both Content-Length and Transfer-Encoding$/,
  /^Transfer-Encoding /,
  /^Expect other than 100-continue$/,
  /^CONNECT is not for this port$/,
  /^(trailers: )?bare LF$/,
  /^(trailers: )?CR without LF$/,
  /^trailers: Content-Length or Transfer-Encoding$/,
  /^(trailers: )?folded header line$/,
  /^(trailers: )?(header without|space in or after|bad byte in|control character in|NUL in)/,
  /chunk/,
];

const tooMuch = /^limit \w+ of /;
const knownMethods = new Set(METHODS);

/** Why the first request that we did not take was not taken; null when all were. */
export function reasonOf(understood: Understood): string | null {
  const { refused, written, requests } = understood;
  if (refused !== null) return refused.error.message.replace('the client broke HTTP: ', '');
  const last = requests.at(-1);
  if (last === undefined || last.ended === 'end' || last.ended === null) return null;
  return /the client broke HTTP: (.*)\n/.exec(written)?.[1] ?? last.ended;
}

/** True when `reason` is one for which we alone may refuse. */
export function isStricter(reason: string | null): boolean {
  return reason !== null && (tooMuch.test(reason) || stricterReasons.some((one) => one.test(reason)));
}

/** Returns in words how the two disagree; null when they agree, or we are stricter where we may be. */
export function disagreement(ours: Understood, theirs: readonly NodeRequest[]): string | null {
  const taken = ours.requests.filter(({ ended }) => ended === 'end');
  const others = theirs.filter(({ complete }) => complete);
  for (let at = 0; at < taken.length; at++) {
    const own = taken[at]!;
    const other = others[at];
    // Methods that llhttp has not heard of are tokens, and pass.
    if (!knownMethods.has(own.method)) return null;
    if (other === undefined) return `request ${at} is taken by us alone: ${own.method} ${own.target}`;
    const difference = differs(own, other);
    if (difference !== null) return `request ${at}: ${difference}`;
  }
  if (others.length === taken.length) return null;
  if (ours.ended && reasonOf(ours) === null) return null;
  const reason = reasonOf(ours);
  return isStricter(reason) ? null : `request ${taken.length} is taken by the other alone; ours: ${reason}`;
}

function differs(own: UnderstoodRequest, other: NodeRequest): string | null {
  if (own.method !== other.method) return `method ${own.method} is ${other.method}`;
  const isSame = own.target === other.url || other.url.replace(/^https?:\/\/[^/?]+/i, '').startsWith(own.target);
  if (!isSame && !(own.target.startsWith('/') && other.url.startsWith('http'))) {
    return `target ${own.target} is ${other.url}`;
  }
  if (own.body !== other.body) return `body ${JSON.stringify(own.body)} is ${JSON.stringify(other.body)}`;
  return headersDiffer(own, other.rawHeaders);
}

/** Ours have to be theirs, in order, without those that end at this hop. */
function headersDiffer(own: UnderstoodRequest, flat: readonly string[]): string | null {
  const pairs: [string, string][] = [];
  for (let at = 0; at < flat.length; at += 2) pairs.push([flat[at]!, flat[at + 1]!]);
  const nominated = pairs
    .filter(([name]) => name.toLowerCase() === 'connection')
    .flatMap(([, value]) => value.split(',').map((word) => word.trim().toLowerCase()));
  let at = 0;
  for (const [name, value] of pairs) {
    const mine = own.headers[at];
    if (mine !== undefined && mine[0] === name && mine[1] === value) at++;
    else if (!endsHere.test(name) && !nominated.includes(name.toLowerCase())) return `header ${name} is missing`;
  }
  return at === own.headers.length ? null : `header ${own.headers[at]?.[0]} is ours alone`;
}

const endsHere = /^(connection|keep-alive|proxy-connection|transfer-encoding|upgrade|http2-settings|te)$/i;

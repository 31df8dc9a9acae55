// What a request's path and authority become on the way, and where a redirect points: l7.md §1.4.5, §1.4.6, §3.2.
import type { PathMatch, Redirect } from '../../model/route-types.ts';

/** The path part of a target. */
export function pathOf(target: string): string {
  const question = target.indexOf('?');
  return question < 0 ? target : target.slice(0, question);
}

/** The path part of a target, and the rest with its question mark. */
export function splitTarget(target: string): readonly [path: string, query: string] {
  const question = target.indexOf('?');
  return question < 0 ? [target, ''] : [target.slice(0, question), target.slice(question)];
}

/**
 * `path` with what `match` asked for replaced by `value`. Whole segments join with exactly one slash between them; a
 * string prefix is replaced as it is, an exact match wholly.
 */
export function replacePrefix(path: string, match: PathMatch | null, value: string): string {
  if (match === null) return value === '' ? path : joinSegments(value, path);
  if (match.kind === 'exact') return value === '' ? '/' : value;
  if (match.kind === 'prefix') return value + path.slice(match.value.length);
  if (match.kind === 'regex') return value;
  const prefix = match.value.endsWith('/') ? match.value.slice(0, -1) : match.value;
  return joinSegments(value, path.slice(prefix.length));
}

/** The location of a redirect. `request.port` is the one that was dialled; 80 is left out of plain HTTP. */
export function locationOf(
  redirect: Redirect,
  request: { readonly scheme: string; readonly authority: string; readonly target: string; readonly port: number },
  match: PathMatch | null,
): string {
  const scheme = redirect.scheme ?? request.scheme;
  const [host, ownPort] = splitAuthority(redirect.authority ?? request.authority);
  const port = portOf(redirect, scheme, request.port, redirect.authority === null ? null : ownPort);
  const shown = port === null || port === wellKnown(scheme) ? '' : `:${port}`;
  const [path, query] = splitTarget(request.target);
  let location = path;
  if (redirect.path?.kind === 'full') location = redirect.path.value;
  else if (redirect.path?.kind === 'prefix') location = replacePrefix(path, match, redirect.path.value);
  return `${scheme}://${host}${shown}${location}${location.includes('?') ? '' : query}`;
}

function portOf(redirect: Redirect, scheme: string, requestPort: number, authorityPort: number | null): number | null {
  if (typeof redirect.port === 'number') return redirect.port;
  if (redirect.port === 'request') return requestPort;
  if (redirect.port === 'scheme') return wellKnown(scheme);
  // An authority that was written with its port keeps it.
  if (authorityPort !== null) return authorityPort;
  return redirect.scheme === null ? requestPort : wellKnown(scheme);
}

function joinSegments(prefix: string, rest: string): string {
  const head = prefix.endsWith('/') ? prefix.slice(0, -1) : prefix;
  const tail = rest === '' || rest.startsWith('/') ? rest : `/${rest}`;
  const joined = head + tail;
  return joined === '' ? '/' : joined;
}

function splitAuthority(authority: string): readonly [host: string, port: number | null] {
  const colon = authority.lastIndexOf(':');
  if (colon < 0 || authority.endsWith(']')) return [authority, null];
  const port = Number(authority.slice(colon + 1));
  return Number.isInteger(port) ? [authority.slice(0, colon), port] : [authority, null];
}

function wellKnown(scheme: string): number | null {
  return scheme === 'http' ? 80 : scheme === 'https' ? 443 : null;
}

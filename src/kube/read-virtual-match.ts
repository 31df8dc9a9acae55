// HTTPMatchRequest of a VirtualService.
import type { VirtualMatch } from '../model/route-resources.ts';
import type { NamedMatch, PathMatch, ValueMatch } from '../model/route-types.ts';
import { readStringMatch } from './istio-values.ts';
import type { ObjectReader } from './object-reader.ts';

const matchFields = [
  ...['name', 'uri', 'scheme', 'method', 'authority', 'headers', 'withoutHeaders', 'queryParams', 'port'],
  ...['sourceLabels', 'sourceNamespace', 'gateways', 'ignoreUriCase', 'statPrefix'],
];
const claimKey = '@request.auth.claims';

/** One branch. Throws CONFIG_INVALID with the place of what is no match. */
export function readVirtualMatch(match: ObjectReader): VirtualMatch {
  match.only(matchFields);
  const value = (key: string): ValueMatch | null => (match.has(key) ? readStringMatch(match.object(key)) : null);
  const wanted = readHeaders(match.object('headers'), false);
  const unwanted = readHeaders(match.object('withoutHeaders'), true);
  return {
    name: match.string('name', ''),
    path: match.has('uri') ? readUri(match) : null,
    scheme: value('scheme'),
    method: value('method'),
    authority: value('authority'),
    headers: [...wanted.headers, ...unwanted.headers],
    claims: [...wanted.claims, ...unwanted.claims],
    query: entries(match.object('queryParams')).map(([name, test]) => ({ name, match: test, invert: false })),
    port: match.has('port') ? match.integer('port', { min: 1, max: 65535 }) : 0,
    sourceLabels: match.labels('sourceLabels'),
    sourceNamespace: match.string('sourceNamespace', ''),
    gateways: match.strings('gateways'),
  };
}

/** `prefix` is any string prefix here, not one of whole segments. */
function readUri(match: ObjectReader): PathMatch | null {
  const uri = readStringMatch(match.object('uri'), match.boolean('ignoreUriCase', false));
  switch (uri.kind) {
    case 'exact':
    case 'prefix':
    case 'regex':
      return { kind: uri.kind, value: uri.value, ignoreCase: uri.ignoreCase };
    default:
      return null;
  }
}

function entries(mapping: ObjectReader): [string, ValueMatch][] {
  return Object.keys(mapping.fields).map((name) => [name, readStringMatch(mapping.object(name))]);
}

function readHeaders(
  mapping: ObjectReader,
  invert: boolean,
): { headers: NamedMatch[]; claims: VirtualMatch['claims'] } {
  const headers: NamedMatch[] = [];
  const claims: VirtualMatch['claims'][number][] = [];
  for (const [key, match] of entries(mapping)) {
    if (!key.startsWith(claimKey)) headers.push({ name: key.toLowerCase(), match, invert });
    else claims.push({ path: claimPath(mapping, key), match, invert });
  }
  return { headers, claims };
}

/** `@request.auth.claims[a][b]`, or with dots as people wrote it before. */
function claimPath(mapping: ObjectReader, key: string): string[] {
  const rest = key.slice(claimKey.length);
  if (/^(\[[^[\]]+\])+$/.test(rest)) return rest.slice(1, -1).split('][');
  if (/^(\.[^.]+)+$/.test(rest)) return rest.slice(1).split('.');
  return mapping.fail(key, `must be written ${claimKey}[NAME] or ${claimKey}[NAME][NAME]`);
}

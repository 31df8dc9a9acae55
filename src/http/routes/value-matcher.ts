// Matches of values and paths as functions, made once for a table.
import { compileRegex } from '../../base/regex.ts';
import type { PathMatch, ValueMatch } from '../../model/route-types.ts';

/** Null stands for a value that is not there. */
export type ValueTest = (value: string | null) => boolean;
export type PathTest = (path: string) => boolean;

/** A value that is missing matches nothing. */
export function valueTest(match: ValueMatch): ValueTest {
  if (match.kind === 'present') return (value) => value !== null;
  if (match.kind === 'regex') {
    const regex = compileRegex(match.value);
    return (value) => value !== null && regex.matches(value);
  }
  const { kind, ignoreCase } = match;
  const wanted = ignoreCase ? match.value.toLowerCase() : match.value;
  if (ignoreCase) {
    const exact = valueTest({ kind, value: wanted, ignoreCase: false });
    return (value) => value !== null && exact(value.toLowerCase());
  }
  if (kind === 'exact') return (value) => value === wanted;
  if (kind === 'prefix') return (value) => value?.startsWith(wanted) === true;
  return (value) => value?.endsWith(wanted) === true;
}

/**
 * The test asked the other way round (VirtualService `withoutHeaders`): what is missing counts as empty, but for
 * `present`.
 */
export function invertedTest(match: ValueMatch): ValueTest {
  const test = valueTest(match);
  return match.kind === 'present' ? (value) => value === null : (value) => !test(value ?? '');
}

/** A path without its query. */
export function pathTest(match: PathMatch): PathTest {
  const { kind, ignoreCase } = match;
  if (kind === 'regex') {
    const regex = compileRegex(match.value);
    return (path) => regex.matches(path);
  }
  const wanted = ignoreCase ? match.value.toLowerCase() : match.value;
  if (kind === 'segments') {
    const exact = segmentsTest(wanted);
    return ignoreCase ? (path) => exact(path.toLowerCase()) : exact;
  }
  if (kind === 'exact') return ignoreCase ? (path) => path.toLowerCase() === wanted : (path) => path === wanted;
  return ignoreCase ? (path) => path.toLowerCase().startsWith(wanted) : (path) => path.startsWith(wanted);
}

/** `/foo` and `/foo/` are `/foo`, `/foo/` and what is below, never `/foobar`. */
function segmentsTest(prefix: string): PathTest {
  const bare = withoutSlash(prefix);
  if (bare === '') return () => true;
  return (path) => path.startsWith(bare) && (path.length === bare.length || path.charCodeAt(bare.length) === slash);
}

const slash = 0x2f;

/** Without one slash at its end. */
export function withoutSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path;
}

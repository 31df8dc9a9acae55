// Matches of values and paths as functions, made once for a table.
import { compileRegex } from '../../base/regex.ts';
import type { PathMatch, ValueMatch } from '../../model/route-types.ts';

/** Null stands for a value that is not there. */
export type ValueTest = (value: string | null) => boolean;
/** The path is the target up to `end`, where its query begins. */
export type PathTest = (target: string, end: number) => boolean;

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

/** The test of a path. Nothing is cut out of the target: a whole string is compared several times faster. */
export function pathTest(match: PathMatch): PathTest {
  const { kind, ignoreCase } = match;
  if (kind === 'regex') {
    const regex = compileRegex(match.value);
    return (target, end) => regex.matches(target.slice(0, end));
  }
  if (ignoreCase) {
    const exact = pathTest({ kind, value: match.value.toLowerCase(), ignoreCase: false });
    return (target, end) => {
      const path = target.slice(0, end).toLowerCase();
      return exact(path, path.length);
    };
  }
  const wanted = match.value;
  const { length } = wanted;
  if (kind === 'segments') return segmentsTest(wanted);
  if (kind === 'exact') return (target, end) => end === length && target.startsWith(wanted);
  return (target, end) => end >= length && target.startsWith(wanted);
}

/** `/foo` and `/foo/` are `/foo`, `/foo/` and what is below, never `/foobar`. */
function segmentsTest(prefix: string): PathTest {
  const bare = withoutSlash(prefix);
  const { length } = bare;
  if (bare === '') return () => true;
  return (target, end) =>
    end >= length && (end === length || target.charCodeAt(length) === slash) && target.startsWith(bare);
}

const slash = 0x2f;

/** Without one slash at its end. */
export function withoutSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path;
}

// Path templates of AuthorizationPolicy: `/store/{*}/items/{**}` (l7.md §5.4). `{*}` is one segment that is not empty,
// `{**}` one or more segments, empty ones too. Matched in one pass, without backtracking.

const one = '{*}';
const many = '{**}';

/** True when a path has to be read as a template. */
export function isTemplate(path: string): boolean {
  return path.includes(one) || path.includes(many);
}

/** Why a template cannot be read; null when it can. */
export function templateProblem(template: string): string | null {
  const segments = template.split('/');
  if (segments[0] !== '') return 'a template begins with /';
  const odd = segments.find((segment) => segment !== one && segment !== many && /[{}*]/.test(segment));
  if (odd !== undefined) return `${one} and ${many} stand for whole segments, and nothing else may stand with them`;
  return segments.filter((segment) => segment === many).length > 1 ? `${many} may occur once` : null;
}

/** The test for a template; null for one with a `templateProblem`. */
export function pathTemplate(template: string): ((path: string) => boolean) | null {
  if (templateProblem(template) !== null) return null;
  const segments = template.split('/');
  const at = segments.indexOf(many);
  if (at < 0) return (path) => hasSegments(path.split('/'), 0, segments) && countOf(path) === segments.length;
  const head = segments.slice(0, at);
  const tail = segments.slice(at + 1);
  return (path) => {
    const found = path.split('/');
    // At least one segment is left between head and tail.
    if (found.length < segments.length) return false;
    return hasSegments(found, 0, head) && hasSegments(found, found.length - tail.length, tail);
  };
}

function hasSegments(found: readonly string[], from: number, wanted: readonly string[]): boolean {
  return wanted.every((segment, at) => {
    const there = found[from + at];
    return segment === one ? there !== undefined && there !== '' : there === segment;
  });
}

function countOf(path: string): number {
  let count = 1;
  for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) count++;
  return count;
}

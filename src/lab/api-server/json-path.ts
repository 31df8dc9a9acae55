// The simple JSON paths of printer columns: `.spec.hosts[0]`, `.status.conditions[?(@.type=="Ready")].status`, `[*]`.
type Step =
  | { readonly field: string }
  | { readonly index: number }
  | { readonly all: true }
  | { readonly filter: { readonly field: string; readonly value: string } };

/** Every value that `path` leads to in `value`. A path that cannot be read leads nowhere. */
export function valuesAt(value: unknown, path: string): unknown[] {
  let found: unknown[] = [value];
  for (const step of stepsOf(path)) found = found.flatMap((each) => next(each, step));
  return found;
}

const stepPattern =
  /\.((?:[\w-]|\\\.)+)|\[(-?\d+)\]|\[\*\]|\['([^']*)'\]|\[\?\(\s*@\.([\w.-]+)\s*==\s*["']([^"']*)["']\s*\)\]/gy;

function stepsOf(path: string): Step[] {
  const steps: Step[] = [];
  stepPattern.lastIndex = 0;
  const text = path.startsWith('.') || path.startsWith('[') ? path : `.${path}`;
  while (stepPattern.lastIndex < text.length) {
    const match = stepPattern.exec(text);
    if (match === null) return [{ field: '\0' }];
    const [, field, index, quoted, filterField, filterValue] = match;
    if (field !== undefined) steps.push({ field: field.replaceAll('\\.', '.') });
    else if (index !== undefined) steps.push({ index: Number(index) });
    else if (quoted !== undefined) steps.push({ field: quoted });
    else if (filterField !== undefined) steps.push({ filter: { field: filterField, value: filterValue ?? '' } });
    else steps.push({ all: true });
  }
  return steps;
}

function next(value: unknown, step: Step): unknown[] {
  if (value === null || typeof value !== 'object') return [];
  if ('field' in step) {
    const inner = (value as Record<string, unknown>)[step.field];
    return inner === undefined ? [] : [inner];
  }
  const items = Object.values(value);
  if ('all' in step) return items;
  if (!Array.isArray(value)) return [];
  if ('index' in step) {
    const item = value.at(step.index) as unknown;
    return item === undefined ? [] : [item];
  }
  const { field, value: wanted } = step.filter;
  return items.filter((item) => valuesAt(item, `.${field}`).some((each) => String(each) === wanted));
}

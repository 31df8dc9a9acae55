// Patterns that steps need besides matching: origins of CORS, rewriting by regular expression. Compiled once per rule.
import { regexReplacer } from '../../base/regex.ts';
import type { CorsPolicy, Rewrite } from '../../model/route-types.ts';
import { type ValueTest, valueTest } from '../routes/value-matcher.ts';

type RegexRewrite = Extract<NonNullable<Rewrite['path']>, { kind: 'regex' }>;

const origins = new WeakMap<CorsPolicy, readonly ValueTest[]>();
const replacers = new WeakMap<RegexRewrite, (text: string) => string>();

/** Whether the policy lets an origin in. */
export function allowsOrigin(policy: CorsPolicy, origin: string): boolean {
  let tests = origins.get(policy);
  if (tests === undefined) {
    const isAny = policy.allowOrigins.some(({ kind, value }) => kind === 'exact' && value === '*');
    tests = isAny ? [() => true] : policy.allowOrigins.map(valueTest);
    origins.set(policy, tests);
  }
  return tests.some((test) => test(origin));
}

/** `path` with every match replaced; `\1` in the replacement is a group, as in RE2. */
export function replaceByRegex(rewrite: RegexRewrite, path: string): string {
  let replace = replacers.get(rewrite);
  if (replace === undefined) {
    replace = regexReplacer(rewrite.pattern, rewrite.value);
    replacers.set(rewrite, replace);
  }
  return replace(path);
}

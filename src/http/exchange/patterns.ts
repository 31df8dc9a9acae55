// Patterns that steps need besides matching: origins of CORS, rewriting by regular expression. Compiled once per rule.
import { RE2JS } from 're2js';
import type { CorsPolicy, Rewrite, ValueMatch } from '../../model/route-types.ts';

type Test = (text: string) => boolean;
type RegexRewrite = Extract<NonNullable<Rewrite['path']>, { kind: 'regex' }>;

const origins = new WeakMap<CorsPolicy, readonly Test[]>();
const replacers = new WeakMap<RegexRewrite, (text: string) => string>();

/** Whether the policy lets an origin in. */
export function allowsOrigin(policy: CorsPolicy, origin: string): boolean {
  let tests = origins.get(policy);
  if (tests === undefined) {
    tests = policy.allowOrigins.map(testOf);
    origins.set(policy, tests);
  }
  return tests.some((test) => test(origin));
}

/** `path` with every match replaced; `\1` in the replacement is a group, as in RE2. */
export function replaceByRegex(rewrite: RegexRewrite, path: string): string {
  let replace = replacers.get(rewrite);
  if (replace === undefined) {
    const compiled = RE2JS.compile(rewrite.pattern);
    const value = rewrite.value.replaceAll('$', '\\$').replace(/\\(\d)/g, '$$$1');
    replace = (text) => compiled.matcher(text).replaceAll(value);
    replacers.set(rewrite, replace);
  }
  return replace(path);
}

function testOf(match: ValueMatch): Test {
  const value = match.ignoreCase ? match.value.toLowerCase() : match.value;
  const compared = (text: string): string => (match.ignoreCase ? text.toLowerCase() : text);
  switch (match.kind) {
    case 'exact':
      return (text) => value === '*' || compared(text) === value;
    case 'prefix':
      return (text) => compared(text).startsWith(value);
    case 'suffix':
      return (text) => compared(text).endsWith(value);
    case 'present':
      return () => true;
    case 'regex': {
      const compiled = RE2JS.compile(match.value);
      return (text) => compiled.testExact(text);
    }
  }
}

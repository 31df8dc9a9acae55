// The rules of deploy/prometheus with shorter times: what takes minutes at night takes seconds in a test. Nothing else
// of them changes.
import { readFileSync } from 'node:fs';
import { parse, stringify } from 'yaml';

const shorter = 60;
/** One scrape that is missed on a busy machine is no incident. */
const heldMinS = 4;
const windowMinS = 5;
const unitsS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

interface Rules {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
}

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
}

/** The file's rules, as YAML: `for` and the windows of ranges are a sixtieth of what they were. */
export function shortRules(file: string): string {
  const { groups } = parse(readFileSync(file, 'utf8')) as Rules;
  const short = groups.map((group) => ({ ...group, rules: group.rules.map(shortRule) }));
  return stringify({ groups: short }, { lineWidth: 0 });
}

/** Durations as ranges write them (`[5m]`); other numbers are not times of ours. */
export function shortRule(rule: Rule): Rule {
  const expr = rule.expr.replace(/\[(\d+)([smhd])\]/g, (_, count: string, unit: keyof typeof unitsS) => {
    return `[${Math.max(windowMinS, (Number(count) * unitsS[unit]) / shorter)}s]`;
  });
  const [, count = '0', unit = 's'] = /^(\d+)([smhd])$/.exec(rule.for) ?? [];
  const heldS = Number(count) * unitsS[unit as keyof typeof unitsS];
  return { ...rule, expr, for: `${heldS === 0 ? 0 : Math.max(heldMinS, heldS / shorter)}s` };
}

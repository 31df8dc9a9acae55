// Words that the rules of both tables are made of: the one for IP (`ruleset.ts`) and the one for bridges
// (`bridge-rules.ts`).
import { isIPv6 } from 'node:net';

export const tableName = 'ambient';

export interface RuleFamily {
  readonly name: 'ip' | 'ip6';
  readonly set: '4' | '6';
}

export const ruleFamilies = [
  { name: 'ip', set: '4' },
  { name: 'ip6', set: '6' },
] as const satisfies readonly RuleFamily[];

/** Addresses and networks, each under its family. */
export function byFamily(values: readonly string[]): Readonly<Record<RuleFamily['set'], readonly string[]>> {
  const six = (value: string) => isIPv6(value.split('/')[0] ?? '');
  return { 4: values.filter((value) => !six(value)), 6: values.filter(six) };
}

/** The lines of two sets, one per family, with what they hold. */
export function setLines(name: string, values: readonly string[], flags = ''): string[] {
  const split = byFamily(values);
  return ruleFamilies.map(({ name: family, set }) => {
    const elements = split[set].length === 0 ? '' : ` elements = { ${split[set].join(', ')} };`;
    return `  set ${name}${set} { type ${family === 'ip' ? 'ipv4_addr' : 'ipv6_addr'};${flags}${elements} }`;
  });
}

/** The lines that replace what the two sets of a table hold. */
export function refillLines(table: 'inet' | 'bridge', name: string, values: readonly string[]): string[] {
  const split = byFamily(values);
  return ruleFamilies.flatMap(({ set }) => {
    const target = `${table} ${tableName} ${name}${set}`;
    const fill = split[set].length === 0 ? [] : [`add element ${target} { ${split[set].join(', ')} }`];
    return [`flush set ${target}`, ...fill];
  });
}

/** A name of a link as nftables takes it; what is none cannot be in a rule. */
export function quoted(link: string): string {
  return `"${link.replace(/["\\\n]/g, '')}"`;
}

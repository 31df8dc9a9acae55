// Tests of single values, compiled once: texts with wildcards, addresses in networks.
import { CidrTable } from '../base/cidr-table.ts';
import { type IpValue, parseCidr } from '../base/ip.ts';
import type { StringMatch } from '../model/types.ts';

export type TextTest = (text: string) => boolean;

/** True for a text that one of the matches takes. */
export function textTestOf(matches: readonly StringMatch[]): TextTest {
  const exact = new Set<string>();
  const others: TextTest[] = [];
  for (const match of matches) {
    if (match.kind === 'exact') exact.add(match.value);
    else if (match.kind === 'prefix') others.push((text) => text.startsWith(match.value));
    else if (match.kind === 'suffix') others.push((text) => text.endsWith(match.value));
    else others.push((text) => text !== '');
  }
  if (others.length === 0) return (text) => exact.has(text);
  return (text) => exact.has(text) || others.some((test) => test(text));
}

/**
 * True for an address in one of the networks. `orAny`: a network that cannot be read stands for every address; without
 * it, for none.
 */
export function networkTestOf(networks: readonly string[], orAny: boolean): (ip: IpValue) => boolean {
  const table = new CidrTable<true>();
  for (const text of networks) {
    const network = parseCidr(text);
    if (network !== null) table.set(network, true);
    else if (orAny) return () => true;
  }
  return (ip) => table.lookup(ip) !== undefined;
}

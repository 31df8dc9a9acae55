// The values of AuthorizationPolicy attributes: wildcards, principals, service accounts, networks and ports, read from
// text.
import { parseCidr } from '../base/ip.ts';
import { isTemplate, templateProblem } from './path-template.ts';
import type { PathPattern, StringMatch } from './types.ts';

export type ValueType = 'text' | 'principal' | 'account' | 'network' | 'port' | 'path';

export interface ValueProblem {
  readonly at: number;
  readonly code: 'AMB0205' | 'AMB0206';
  readonly reason: string;
  readonly fix: string;
}

type Parsed = { readonly value: unknown; readonly warning?: Omit<ValueProblem, 'at' | 'code'> } | Bad;
type Bad = { readonly reason: string; readonly fix: string };

/** The values that can be read, in the form that a policy match holds, and what is wrong with the others. */
export function readValues(
  type: ValueType,
  values: readonly string[],
  policyNamespace: string,
): { readonly good: readonly unknown[]; readonly problems: readonly ValueProblem[] } {
  const good: unknown[] = [];
  const problems: ValueProblem[] = [];
  for (const [at, text] of values.entries()) {
    const parsed = parsers[type](text, policyNamespace);
    if (!('value' in parsed)) problems.push({ at, code: 'AMB0205', ...parsed });
    else {
      good.push(parsed.value);
      if (parsed.warning !== undefined) problems.push({ at, code: 'AMB0206', ...parsed.warning });
    }
  }
  return { good, problems };
}

const parsers: Readonly<Record<ValueType, (text: string, policyNamespace: string) => Parsed>> = {
  text: parseText,
  principal: parsePrincipal,
  account: parseAccount,
  network: parseNetwork,
  port: parsePort,
  path: parsePath,
};

/** `*` any, `x*` prefix, `*x` suffix, otherwise exact. */
function parseText(text: string): Parsed {
  const stars = text.split('*').length - 1;
  if (text === '') return { reason: 'is empty', fix: 'name a value, or "*" for any' };
  if (text === '*') return { value: { kind: 'presence' } satisfies StringMatch };
  if (stars === 0) return { value: { kind: 'exact', value: text } satisfies StringMatch };
  const fix = 'write one * at the beginning or at the end';
  if (stars > 1) return { reason: `"${text}" has more than one *`, fix };
  if (text.startsWith('*')) return { value: { kind: 'suffix', value: text.slice(1) } satisfies StringMatch };
  if (text.endsWith('*')) return { value: { kind: 'prefix', value: text.slice(0, -1) } satisfies StringMatch };
  return { reason: `"${text}" has a * in the middle`, fix };
}

function parsePrincipal(text: string): Parsed {
  const scheme = 'spiffe://';
  const bare = text.startsWith(scheme) ? text.slice(scheme.length) : text;
  const parsed = parseText(bare);
  if (!('value' in parsed)) return parsed;
  if (!bare.includes('*') && !/^[^/]+\/ns\/[^/]+\/sa\/[^/]+$/.test(bare)) {
    const fix = 'write TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT, for example cluster.local/ns/shop/sa/web';
    return { reason: `"${text}" is no principal`, fix };
  }
  if (bare === text) return parsed;
  return { ...parsed, warning: { reason: `"${text}" is read without ${scheme}`, fix: `write ${bare}` } };
}

/** `ACCOUNT` of the policy's own namespace, or `NAMESPACE/ACCOUNT`. */
function parseAccount(text: string, policyNamespace: string): Parsed {
  const parts = /^(?:([a-z0-9][-a-z0-9]*)\/)?([a-z0-9][-a-z0-9.]*)$/.exec(text);
  if (parts === null) return { reason: `"${text}" is no service account`, fix: 'write ACCOUNT or NAMESPACE/ACCOUNT' };
  return { value: { namespace: parts[1] ?? policyNamespace, serviceAccount: parts[2] } };
}

function parseNetwork(text: string): Parsed {
  const network = parseCidr(text);
  if (network !== null) return { value: network.text };
  return { reason: `"${text}" is no address and no network`, fix: 'write it like 10.0.0.1, 10.0.0.0/8 or fd00::/8' };
}

function parsePort(text: string): Parsed {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65535) return { value: port };
  return { reason: `"${text}" is no port`, fix: 'write a number from 1 to 65535' };
}

/** As text, or a template. */
function parsePath(text: string): Parsed {
  if (!isTemplate(text)) return parseText(text);
  const problem = templateProblem(text);
  if (problem === null) return { value: { kind: 'template', value: text } satisfies PathPattern };
  return { reason: `"${text}" is no path template: ${problem}`, fix: 'write it like /shop/{*}/items/{**}' };
}

// Which attributes and conditions of AuthorizationPolicy there are, what they are called in a policy, and which of them
// need HTTP.
import type { ValueType } from './authorization-values.ts';
import type { PolicyMatch } from './types.ts';

export type PolicyLayer = 'L4' | 'L7';

export interface FieldEntry {
  readonly field: Exclude<keyof PolicyMatch, `not${string}`>;
  readonly notField: Extract<keyof PolicyMatch, `not${string}`>;
  readonly type: ValueType;
  /** What stands in the brackets of a condition's key: a header, or the keys of a claim. */
  readonly of?: { readonly name: string } | { readonly path: readonly string[] };
}

const namespaces = { field: 'namespaces', notField: 'notNamespaces', type: 'text' } as const;
const principals = { field: 'principals', notField: 'notPrincipals', type: 'principal' } as const;
const accounts = { field: 'serviceAccounts', notField: 'notServiceAccounts', type: 'account' } as const;
const trustDomains = { field: 'trustDomains', notField: 'notTrustDomains', type: 'text' } as const;
const sourceIps = { field: 'sourceIps', notField: 'notSourceIps', type: 'network' } as const;
const destinationIps = { field: 'destinationIps', notField: 'notDestinationIps', type: 'network' } as const;
const ports = { field: 'destinationPorts', notField: 'notDestinationPorts', type: 'port' } as const;
const remoteIps = { field: 'remoteIps', notField: 'notRemoteIps', type: 'network' } as const;
const hosts = { field: 'hosts', notField: 'notHosts', type: 'text' } as const;
const methods = { field: 'methods', notField: 'notMethods', type: 'text' } as const;
const paths = { field: 'paths', notField: 'notPaths', type: 'path' } as const;
const requestPrincipals = { field: 'requestPrincipals', notField: 'notRequestPrincipals', type: 'text' } as const;
const audiences = { field: 'audiences', notField: 'notAudiences', type: 'text' } as const;
const presenters = { field: 'presenters', notField: 'notPresenters', type: 'text' } as const;

type Table = Readonly<Record<string, FieldEntry>>;

const l4Attributes: Table = { namespaces, principals, serviceAccounts: accounts, ipBlocks: sourceIps, ports };
const l7Attributes: Table = {
  ...l4Attributes,
  trustDomains,
  remoteIpBlocks: remoteIps,
  requestPrincipals,
  hosts,
  methods,
  paths,
};
const l4Conditions: Table = {
  'source.ip': sourceIps,
  'source.namespace': namespaces,
  'source.principal': principals,
  'destination.ip': destinationIps,
  'destination.port': ports,
};
const l7Conditions: Table = {
  ...l4Conditions,
  'source.serviceAccount': accounts,
  'source.trustDomain': trustDomains,
  'remote.ip': remoteIps,
  'request.auth.principal': requestPrincipals,
  'request.auth.audiences': audiences,
  'request.auth.presenter': presenters,
};

/** Conditions that need more than L4; those ending in `[` or `.` have something behind it. */
const higherConditions = [
  'request.headers[',
  'request.auth.principal',
  'request.auth.audiences',
  'request.auth.presenter',
  'request.auth.claims[',
  'remote.ip',
  'connection.sni',
  'source.serviceAccount',
  'source.trustDomain',
  'experimental.',
] as const;

/** The attribute of a source or operation, by its name without `not`; null for one that the layer does not have. */
export function attributeEntry(layer: PolicyLayer, name: string): FieldEntry | null {
  return own(layer === 'L4' ? l4Attributes : l7Attributes, name);
}

/** The condition with this key; null for one that the layer does not have. */
export function conditionEntry(layer: PolicyLayer, key: string): FieldEntry | null {
  if (layer === 'L4') return own(l4Conditions, key);
  const header = /^request\.headers\[([^\s[\]]+)\]$/.exec(key)?.[1];
  if (header !== undefined) {
    return { field: 'headers', notField: 'notHeaders', type: 'text', of: { name: header.toLowerCase() } };
  }
  const claim = /^request\.auth\.claims((?:\[[^[\]]+\])+)$/.exec(key)?.[1];
  if (claim !== undefined) {
    const path = claim.slice(1, -1).split('][');
    return { field: 'claims', notField: 'notClaims', type: 'text', of: { path } };
  }
  return own(l7Conditions, key);
}

/** True for a condition that exists, but not at L4. */
export function isHigherCondition(key: string): boolean {
  return higherConditions.some((one) => (/[[.]$/.test(one) ? key.startsWith(one) : key === one));
}

/** Keys of conditions, for suggestions. */
export const conditionKeys: readonly string[] = [...Object.keys(l4Conditions), ...higherConditions];

function own(table: Table, name: string): FieldEntry | null {
  return Object.hasOwn(table, name) ? table[name]! : null;
}

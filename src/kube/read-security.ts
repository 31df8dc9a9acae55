// PeerAuthentication and AuthorizationPolicy: from an object to what the model keeps of it. A field that nobody knows
// is an error here, as a condition that is read over widens access. What the values mean is the compiler's business.
import type {
  Attributes,
  AuthorizationCondition,
  AuthorizationPolicyResource,
  AuthorizationRule,
  Labels,
  MtlsMode,
  PeerAuthenticationResource,
  ResourceMeta,
  WaypointTarget,
} from '../model/resources.ts';
import type { ObjectReader } from './object-reader.ts';

const modes = ['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT'] as const satisfies readonly MtlsMode[];
const targetsMax = 16;
const actions = ['ALLOW', 'DENY', 'AUDIT', 'CUSTOM'] as const;

/** The fields of a source, each with its `not…` form. */
const sourceFields = withNegations([
  'principals',
  'requestPrincipals',
  'namespaces',
  'ipBlocks',
  'remoteIpBlocks',
  'serviceAccounts',
  'trustDomains',
]);
const operationFields = withNegations(['hosts', 'ports', 'methods', 'paths']);

/** A PeerAuthentication. Throws CONFIG_INVALID with the place of an unknown field, mode or port. */
export function readPeerAuthentication(object: ObjectReader, meta: ResourceMeta): PeerAuthenticationResource {
  const spec = object.object('spec');
  spec.only(['selector', 'mtls', 'portLevelMtls']);
  const ports = spec.object('portLevelMtls');
  const portLevelMtls = Object.keys(ports.fields).map((text) => {
    const port = Number(text);
    if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65535) ports.fail(text, 'must be a port from 1 to 65535');
    return { port, mode: readMode(ports.object(text)) };
  });
  return {
    ...meta,
    kind: 'PeerAuthentication',
    selector: readSelector(spec),
    mtls: readMode(spec.object('mtls')),
    portLevelMtls,
  };
}

/**
 * An AuthorizationPolicy, its values as written. Throws CONFIG_INVALID with the place of an unknown field or action.
 */
export function readAuthorizationPolicy(object: ObjectReader, meta: ResourceMeta): AuthorizationPolicyResource {
  const spec = object.object('spec');
  spec.only(['selector', 'targetRef', 'targetRefs', 'action', 'provider', 'rules']);
  return {
    ...meta,
    kind: 'AuthorizationPolicy',
    selector: readSelector(spec),
    targets: readTargets(spec),
    action: spec.oneOf('action', actions, 'ALLOW'),
    rules: spec.objects('rules').map(readRule),
  };
}

function readRule(rule: ObjectReader): AuthorizationRule {
  rule.only(['from', 'to', 'when']);
  return {
    from: rule.has('from') ? rule.objects('from').map((one) => readAttributes(one, 'source', sourceFields)) : null,
    to: rule.has('to') ? rule.objects('to').map((one) => readAttributes(one, 'operation', operationFields)) : null,
    when: rule.has('when') ? rule.objects('when').map(readCondition) : null,
  };
}

function readAttributes(item: ObjectReader, key: string, known: readonly string[]): Attributes {
  item.only([key]);
  const attributes = item.object(key);
  attributes.only(known);
  const names = Object.keys(attributes.fields).filter((name) => attributes.has(name));
  return Object.fromEntries(names.map((name) => [name, attributes.strings(name, true)]));
}

function readCondition(condition: ObjectReader): AuthorizationCondition {
  condition.only(['key', 'values', 'notValues']);
  return {
    key: condition.string('key'),
    values: condition.has('values') ? condition.strings('values', true) : null,
    notValues: condition.has('notValues') ? condition.strings('notValues', true) : null,
  };
}

/** `targetRefs`, or the deprecated `targetRef`; at most so many as Istio takes. */
export function readTargets(spec: ObjectReader): WaypointTarget[] {
  const refs = spec.objects('targetRefs');
  if (refs.length > targetsMax) spec.fail('targetRefs', `must have at most ${targetsMax} elements`);
  return (spec.has('targetRef') ? [...refs, spec.object('targetRef')] : refs).map((ref) => {
    ref.only(['group', 'kind', 'name', 'namespace']);
    return {
      group: ref.string('group', ''),
      kind: ref.string('kind'),
      name: ref.string('name'),
      namespace: ref.has('namespace') ? ref.string('namespace') : null,
    };
  });
}

/** The labels of `selector.matchLabels`; null without any. */
export function readSelector(spec: ObjectReader): Labels | null {
  if (!spec.has('selector')) return null;
  const selector = spec.object('selector');
  selector.only(['matchLabels']);
  const labels = selector.labels('matchLabels');
  return Object.keys(labels).length === 0 ? null : labels;
}

function readMode(mtls: ObjectReader): MtlsMode {
  mtls.only(['mode']);
  return mtls.oneOf('mode', modes, 'UNSET');
}

function withNegations(names: readonly string[]): string[] {
  return names.flatMap((name) => [name, `not${name.charAt(0).toUpperCase()}${name.slice(1)}`]);
}

// RequestAuthentication: from an object to what the model keeps of it. A field that nobody knows is an error, as a
// condition that is read over widens access.
import type { RequestAuthenticationResource, ResourceMeta, WrittenJwtRule } from '../model/resources.ts';
import type { ObjectReader } from './object-reader.ts';
import { readSelector, readTargets } from './read-security.ts';
import { headerNameOf, istioDuration } from './route-values.ts';

const ruleFields = [
  'issuer',
  'issuers',
  'audiences',
  'jwks',
  'jwksUri',
  'jwks_uri',
  'fromHeaders',
  'fromParams',
  'fromCookies',
  'forwardOriginalToken',
  'outputPayloadToHeader',
  'outputClaimToHeaders',
  'spaceDelimitedClaims',
  'timeout',
];
/** Istio's. */
const defaultTimeoutMs = 5000;

/** A RequestAuthentication. Throws CONFIG_INVALID with the place of an unknown field or a bad value. */
export function readRequestAuthentication(object: ObjectReader, meta: ResourceMeta): RequestAuthenticationResource {
  const spec = object.object('spec');
  spec.only(['selector', 'targetRef', 'targetRefs', 'jwtRules']);
  return {
    ...meta,
    kind: 'RequestAuthentication',
    selector: readSelector(spec),
    targets: readTargets(spec),
    rules: spec.objects('jwtRules').map(readRule),
  };
}

function readRule(rule: ObjectReader): WrittenJwtRule {
  rule.only(ruleFields);
  const issuer = rule.has('issuer') ? [rule.string('issuer')] : [];
  return {
    issuers: [...issuer, ...rule.strings('issuers')],
    audiences: rule.strings('audiences'),
    jwks: rule.string('jwks', ''),
    jwksUri: rule.string('jwksUri', rule.string('jwks_uri', '')),
    fromHeaders: rule.objects('fromHeaders').map((header) => {
      header.only(['name', 'prefix']);
      return { name: headerNameOf(header, 'name'), prefix: header.string('prefix', '') };
    }),
    fromParams: rule.strings('fromParams'),
    fromCookies: rule.strings('fromCookies'),
    forwardOriginalToken: rule.boolean('forwardOriginalToken', false),
    outputPayloadToHeader: rule.has('outputPayloadToHeader') ? headerNameOf(rule, 'outputPayloadToHeader') : '',
    outputClaimToHeaders: rule.objects('outputClaimToHeaders').map((output) => {
      output.only(['header', 'claim']);
      return { header: headerNameOf(output, 'header'), claim: output.string('claim') };
    }),
    spaceDelimitedClaims: rule.strings('spaceDelimitedClaims'),
    timeoutMs: istioDuration(rule, 'timeout') ?? defaultTimeoutMs,
  };
}

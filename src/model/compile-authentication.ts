// RequestAuthentication → the rules that a waypoint believes tokens by. A rule that cannot be used is kept without
// keys: tokens of its issuer are refused, rather than taken for none.
import type { IssueList } from './issues.ts';
import type { RequestAuthenticationResource, ResourcePath, WrittenJwtRule } from './resources.ts';
import type { JwtRule } from './route-types.ts';

const noKeys = '{"keys":[]}';
/** Headers that carry the request itself, or who sent it: a claim must not stand in for them. */
const reservedHeaders = /^(?:host|connection|content-length|transfer-encoding|te|upgrade|trailer|:.*)$/;

/** The rules of one resource; what is said about it goes to `list`. */
export function compileAuthentication(resource: RequestAuthenticationResource, list: IssueList): JwtRule[] {
  const policy = `${resource.namespace}/${resource.name}`;
  if (resource.rules.length === 0) {
    list.add('AMB0301', ['spec'], 'has no jwtRules: it asks nothing', 'name at least one issuer');
  }
  return resource.rules.map((rule, at) => compileRule(rule, ['spec', 'jwtRules', at], policy, list));
}

function compileRule(rule: WrittenJwtRule, path: ResourcePath, policy: string, list: IssueList): JwtRule {
  const problem = problemOf(rule);
  if (problem !== null) {
    const message = `${problem.reason}: tokens of ${rule.issuers.join(', ') || 'its issuer'} are refused`;
    list.add('AMB0302', [...path, ...problem.path], message, problem.fix);
  }
  if (rule.jwks !== '' && rule.jwksUri !== '') {
    list.add('AMB0303', [...path, 'jwksUri'], 'stands beside jwks, which is used', 'keep one of them');
  }
  const outputs = rule.outputClaimToHeaders.filter(({ header }, at) => {
    if (!reservedHeaders.test(header)) return true;
    list.add(
      'AMB0304',
      [...path, 'outputClaimToHeaders', at],
      `a claim cannot become the header ${header}`,
      'use another',
    );
    return false;
  });
  const { issuers, audiences, fromHeaders, fromParams, fromCookies, spaceDelimitedClaims, timeoutMs } = rule;
  return {
    ...{ issuers, audiences, fromHeaders, fromParams, fromCookies, spaceDelimitedClaims, timeoutMs, policy },
    jwks: problem === null ? rule.jwks : noKeys,
    jwksUri: problem === null && rule.jwks === '' ? rule.jwksUri : '',
    forwardOriginalToken: rule.forwardOriginalToken,
    outputPayloadToHeader: reservedHeaders.test(rule.outputPayloadToHeader) ? '' : rule.outputPayloadToHeader,
    outputClaimToHeaders: outputs.map(({ header, claim }) => ({ header, claim: claim.split('.') })),
  };
}

interface Problem {
  readonly path: ResourcePath;
  readonly reason: string;
  readonly fix: string;
}

function problemOf(rule: WrittenJwtRule): Problem | null {
  if (rule.issuers.length === 0 || rule.issuers.includes('')) {
    return { path: [], reason: 'the rule has no issuer', fix: 'write what stands in the claim iss' };
  }
  if (rule.jwks !== '') return jwksProblem(rule.jwks);
  if (rule.jwksUri !== '') {
    if (isHttpUrl(rule.jwksUri)) return null;
    return { path: ['jwksUri'], reason: 'is no http or https URL', fix: 'write it like https://HOST/PATH' };
  }
  if (rule.issuers.length === 1 && isHttpUrl(rule.issuers[0]!)) return null;
  return { path: [], reason: 'the rule has no keys', fix: 'write jwks or jwksUri' };
}

function jwksProblem(text: string): Problem | null {
  const problem = { path: ['jwks'], reason: 'is no JWK set', fix: 'write it like {"keys": [{"kty": …}]}' };
  try {
    const value: unknown = JSON.parse(text);
    const keys = typeof value === 'object' && value !== null && 'keys' in value ? value.keys : null;
    return Array.isArray(keys) ? null : problem;
  } catch {
    return problem;
  }
}

function isHttpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol } = new URL(text);
  return protocol === 'https:' || protocol === 'http:';
}

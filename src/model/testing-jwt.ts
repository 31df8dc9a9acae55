// For tests: rules about tokens, but for what is given.
import type { JwtRule } from './route-types.ts';

/** Tokens of one issuer, in the usual places, with no keys yet. */
export function jwtRuleOf(given: Partial<JwtRule> = {}): JwtRule {
  return {
    issuers: ['https://id.example'],
    audiences: [],
    jwks: '',
    jwksUri: '',
    fromHeaders: [],
    fromParams: [],
    fromCookies: [],
    forwardOriginalToken: false,
    outputPayloadToHeader: '',
    outputClaimToHeaders: [],
    spaceDelimitedClaims: [],
    timeoutMs: 5000,
    policy: 'shop/jwt',
    ...given,
  };
}

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { isMeshError } from '../../base/errors.ts';
import type { JwtRule } from '../../model/route-types.ts';
import { jwtRuleOf } from '../../model/testing-jwt.ts';
import { requestOf } from '../testing-requests.ts';
import { fetchedBytesMax, fetchText } from './fetch-text.ts';
import { KeySets, keyMissIntervalMs, keyRefreshMs, keyRetryMs } from './key-sets.ts';
import { findTokens } from './token-places.ts';
import { claimHeader, type TokenOutcome, TokenVerifier } from './token-verifier.ts';

const nowMs = Date.UTC(2026, 0, 1);
const issuer = 'https://id.example';

interface Signer {
  readonly jwk: Record<string, unknown>;
  sign(claims: JWTPayload, kid?: string): Promise<string>;
}

async function signerOf(alg: string, kid: string): Promise<Signer> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid };
  return {
    jwk,
    sign: (claims, given = kid) => new SignJWT(claims).setProtectedHeader({ alg, kid: given }).sign(privateKey),
  };
}

const es256 = await signerOf('ES256', 'one');
const another = await signerOf('ES256', 'two');
const setOf = (...signers: readonly Signer[]) => JSON.stringify({ keys: signers.map((one) => one.jwk) });

const ruleOf = (given: Partial<JwtRule> = {}): JwtRule => jwtRuleOf({ jwks: setOf(es256), timeoutMs: 1000, ...given });

const noFetch = (): Promise<string> => assert.fail('nothing should be fetched');

function ask(verifier: TokenVerifier, rules: readonly JwtRule[], token: string, at = nowMs) {
  const head = requestOf('GET /', [['Authorization', `Bearer ${token}`]]);
  return verifier.verify(findTokens(rules, head, '/'), at);
}

/** The subject of a token that is believed, else `STATUS MESSAGE`. */
function told(outcome: TokenOutcome): string {
  return 'facts' in outcome ? String(outcome.claims['sub']) : `${outcome.status} ${outcome.message}`;
}

async function verdict(rule: JwtRule, token: string, at = nowMs): Promise<string> {
  return told(await ask(new TokenVerifier(new KeySets(noFetch)), [rule], token, at));
}

for (const alg of ['RS256', 'RS384', 'RS512', 'PS256', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']) {
  test(`a token signed with ${alg}`, async () => {
    const signer = await signerOf(alg, 'k');
    const token = await signer.sign({ iss: issuer, sub: 'ann' });
    assert.equal(await verdict(ruleOf({ jwks: setOf(signer) }), token), 'ann');
    const forged = `${token.slice(0, token.lastIndexOf('.') + 1)}${'A'.repeat(80)}`;
    assert.equal(await verdict(ruleOf({ jwks: setOf(signer) }), forged), '401 Jwt verification fails');
  });
}

const seconds = nowMs / 1000;
const unpadded = (text: string): string => btoa(text).replace(/=/g, '');
const unsigned = `${unpadded('{"alg":"none"}')}.${unpadded(`{"iss":"${issuer}","sub":"ann"}`)}.`;
const noKey = "401 Jwks doesn't have key to match kid or alg from Jwt";
const noForm = '401 Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections';
// [what, claims, rule, outcome]
const claimRows: readonly (readonly [string, JWTPayload, Partial<JwtRule>, string])[] = [
  ['no time at all', {}, {}, 'ann'],
  ['not expired', { exp: seconds + 60 }, {}, 'ann'],
  ['expired within the skew of clocks', { exp: seconds - 59 }, {}, 'ann'],
  ['expired', { exp: seconds - 60 }, {}, '401 Jwt is expired'],
  ['not yet valid', { nbf: seconds + 61 }, {}, '401 Jwt not yet valid'],
  ['an expiry that is no number', { exp: 'never' as never }, {}, '401 Jwt is expired'],
  ['another issuer', { iss: 'https://other.example' }, {}, '401 Jwt issuer is not configured'],
  ['the second issuer of two', { iss: 'b' }, { issuers: ['a', 'b'] }, 'ann'],
  ['the audience', { aud: 'shop' }, { audiences: ['shop', 'x'] }, 'ann'],
  ['one of its audiences', { aud: ['a', 'shop'] }, { audiences: ['shop'] }, 'ann'],
  ['another audience', { aud: 'b' }, { audiences: ['shop'] }, '403 Audiences in Jwt are not allowed'],
  ['no audience', {}, { audiences: ['shop'] }, '403 Audiences in Jwt are not allowed'],
  ['another key', {}, { jwks: setOf(another) }, noKey],
  ['no keys', {}, { jwks: '{"keys":[]}' }, noKey],
  ['keys that are none', {}, { jwks: '{"keys":"x"}' }, '401 Jwks remote fetch is failed'],
];
for (const [what, claims, rule, outcome] of claimRows) {
  test(`a token with ${what}`, async () => {
    const token = await es256.sign({ iss: issuer, sub: 'ann', ...claims });
    assert.equal(await verdict(ruleOf(rule), token), outcome);
  });
}

for (const [what, token, outcome] of [
  ['no token', 'nonsense', noForm],
  ['no JSON', 'a.b.c', noForm],
  ['unsigned', unsigned, noForm],
  ['unsigned, with a signature', `${unsigned}AAAA`, '401 Jwt verification fails'],
] as const) {
  test(`${what} is refused`, async () =>
    assert.match(await verdict(ruleOf(), token), new RegExp(`^${outcome}|^401 Jwks`)));
}

test('two keys without an id are both tried', async () => {
  const jwks = JSON.stringify({ keys: [another.jwk, es256.jwk].map(({ kid: _, ...jwk }) => jwk) });
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const token = await new SignJWT({ iss: issuer, sub: 'ann' }).setProtectedHeader({ alg: 'ES256' }).sign(privateKey);
  assert.equal(await verdict(ruleOf({ jwks }), token), '401 Jwt verification fails');
  const own = await exportJWK(publicKey);
  const both = JSON.stringify({ keys: [{ ...another.jwk, kid: undefined }, own] });
  assert.equal(await verdict(ruleOf({ jwks: both }), token), 'ann');
});

test('one rule of several is enough; facts are those of the token', async () => {
  const verifier = new TokenVerifier(new KeySets(noFetch));
  const rules = [
    ruleOf({ issuers: ['x'] }),
    ruleOf({ jwks: setOf(another) }),
    ruleOf({ spaceDelimitedClaims: ['roles'] }),
  ];
  const token = await es256.sign({ iss: issuer, sub: 'ann', aud: ['a'], azp: 'app', roles: 'r w' });
  const outcome = await ask(verifier, rules, token);
  assert.ok('facts' in outcome);
  const { principal, audiences, presenter, claims } = outcome.facts;
  assert.deepEqual([principal, audiences, presenter, claims['roles']], [`${issuer}/ann`, ['a'], 'app', ['r', 'w']]);
  assert.equal(outcome.claims['roles'], 'r w');
});

test('a token that is known is believed at once, by every rule that says the same, until it expires', async () => {
  const verifier = new TokenVerifier(new KeySets(noFetch));
  const token = await es256.sign({ iss: issuer, sub: 'ann', exp: seconds + 600 });
  assert.ok(ask(verifier, [ruleOf()], token) instanceof Promise);
  await ask(verifier, [ruleOf()], token);
  assert.equal(verifier.size, 1);
  const again = ask(verifier, [ruleOf()], token);
  assert.ok(!(again instanceof Promise) && told(again) === 'ann');
  assert.ok(ask(verifier, [ruleOf({ audiences: ['x'] })], token) instanceof Promise);
  assert.equal(told(await ask(verifier, [ruleOf()], token, nowMs + 3_600_000)), '401 Jwt is expired');
});

test('what is remembered is bounded', async () => {
  const verifier = new TokenVerifier(new KeySets(noFetch));
  const rules = [ruleOf()];
  const padding = 'x'.repeat(9000);
  for (let at = 0; at < 60; at++) await ask(verifier, rules, await es256.sign({ iss: issuer, sub: `${at}`, padding }));
  assert.ok(verifier.size > 20 && verifier.size < 50, `${verifier.size}`);
});

test('whatever stands there, nothing throws and nothing is believed', async () => {
  const verifier = new TokenVerifier(new KeySets(noFetch));
  const good = await es256.sign({ iss: issuer, sub: 'ann' });
  const part = fc.oneof(
    fc.constantFrom(...good.split('.')),
    fc.json().map((text) => Buffer.from(text).toString('base64url')),
    fc.string(),
    fc.constant(unpadded(`{"iss":"${issuer}","exp":[]}`)),
    fc.constant(unpadded('{"alg":"HS256"}')),
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(part, { maxLength: 5 }).map((parts) => parts.join('.')),
  );
  const rule = ruleOf({ fromHeaders: [{ name: 'x', prefix: '' }], fromParams: ['t'], fromCookies: ['c'] });
  await fc.assert(
    fc.asyncProperty(text, text, text, async (header, param, cookie) => {
      fc.pre(![header, param, cookie].some((one) => one.includes(good)));
      const head = requestOf('GET /', [
        ['x', header],
        ['cookie', `c=${cookie}`],
      ]);
      const found = findTokens([rule], head, `/?t=${param}`);
      if (found.length === 0) return;
      assert.match(told(await verifier.verify(found, nowMs)), /^40[13] J/);
    }),
  );
  assert.equal(verifier.size, 0);
});

// --- keys that are fetched ---

function remote(answers: (string | Error)[]) {
  const asked: string[] = [];
  const keySets = new KeySets(async (url) => {
    asked.push(url);
    const answer = answers.shift() ?? assert.fail('fetched once too often');
    if (typeof answer === 'string') return answer;
    throw answer;
  });
  return { asked, verifier: new TokenVerifier(keySets) };
}

const fetched = ruleOf({ jwks: '', jwksUri: 'https://id.example/keys' });

test('keys are fetched once for all that wait, and kept', async () => {
  const { asked, verifier } = remote([setOf(es256)]);
  const tokens = await Promise.all([1, 2, 3].map((at) => es256.sign({ iss: issuer, sub: `s${at}` })));
  const outcomes = await Promise.all(tokens.map((token) => ask(verifier, [fetched], token)));
  assert.deepEqual(outcomes.map(told), ['s1', 's2', 's3']);
  assert.deepEqual(asked, ['https://id.example/keys']);
});

test('keys that cannot be fetched are asked for again after a while', async () => {
  const { asked, verifier } = remote([new Error('refused'), setOf(es256)]);
  const token = await es256.sign({ iss: issuer, sub: 'ann' });
  const at = async (ms: number) => told(await ask(verifier, [fetched], token, nowMs + ms));
  assert.equal(await at(0), '401 Jwks remote fetch is failed');
  assert.equal(await at(keyRetryMs - 1), '401 Jwks remote fetch is failed');
  assert.equal(asked.length, 1);
  assert.equal(await at(keyRetryMs), 'ann');
});

test('an unknown key makes us look again, but not all the time', async () => {
  const { asked, verifier } = remote([setOf(es256), setOf(es256), setOf(es256, another)]);
  const at = async (ms: number, signer: Signer) =>
    told(await ask(verifier, [fetched], await signer.sign({ iss: issuer, sub: 'ann' }), nowMs + ms));
  assert.equal(await at(0, es256), 'ann');
  assert.equal(await at(1, another), noKey);
  assert.equal(asked.length, 1);
  assert.equal(await at(keyMissIntervalMs, another), noKey);
  assert.equal(await at(2 * keyMissIntervalMs, another), 'ann');
  assert.equal(asked.length, 3);
});

test('old keys are fetched anew behind the back of a request; a failure leaves them', async () => {
  const { asked, verifier } = remote([setOf(es256), new Error('down'), setOf(another)]);
  const token = await es256.sign({ iss: issuer, sub: 'ann' });
  const at = async (ms: number) => told(await ask(verifier, [fetched], token, nowMs + ms));
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  assert.equal(await at(0), 'ann');
  const later = keyRefreshMs + 1;
  for (const ms of [later, later + 1]) {
    assert.equal(await at(ms), 'ann');
    await settle();
  }
  assert.equal(asked.length, 2);
  assert.equal(await at(later + keyRetryMs + 1), 'ann');
  await settle();
  // The key is gone: what was signed with it is remembered no longer.
  assert.equal(await at(later + keyRetryMs + 2), noKey);
});

test('without keys and address, the issuer says where they are', async () => {
  const discovered = JSON.stringify({ issuer, jwks_uri: 'https://id.example/found' });
  const { asked, verifier } = remote([discovered, setOf(es256)]);
  const token = await es256.sign({ iss: issuer, sub: 'ann' });
  assert.equal(told(await ask(verifier, [ruleOf({ jwks: '' })], token)), 'ann');
  assert.deepEqual(asked, ['https://id.example/.well-known/openid-configuration', 'https://id.example/found']);
});

const server = createServer((request, response) => {
  const answers: Record<string, () => void> = {
    '/keys': () => response.end('{"keys":[]}'),
    '/large': () => response.end('x'.repeat(fetchedBytesMax + 1)),
    '/moved': () => response.writeHead(302, { location: '/keys' }).end(),
    '/never': () => undefined,
  };
  answers[request.url ?? '']?.();
});
after(() => {
  server.closeAllConnections();
  server.close();
});

test('fetching: the whole, or an error for what is too large, too slow, or elsewhere', async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const at = (path: string, timeoutMs = 10_000) =>
    fetchText(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`, timeoutMs);
  assert.equal(await at('/keys'), '{"keys":[]}');
  await assert.rejects(at('/large'), (error) => isMeshError(error) && error.code === 'LIMIT_REACHED');
  await assert.rejects(at('/moved'), (error) => isMeshError(error) && error.code === 'NOT_REACHABLE');
  await assert.rejects(at('/never', 50), { name: 'TimeoutError' });
});

// [claim, header]
for (const [value, header] of [
  ['ann', 'ann'],
  [7, '7'],
  [true, 'true'],
  [['a'], 'WyJhIl0'],
  [null, null],
  ['a\r\nx: y', null],
] as const) {
  test(`claim ${JSON.stringify(value)} as a header`, () => {
    assert.equal(claimHeader({ a: { b: value } }, ['a', 'b']), header);
  });
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import type { JwtRule, ServiceRoutes } from '../../model/route-types.ts';
import { defaultServiceRoutes } from '../../model/routes/route-defaults.ts';
import { jwtRuleOf } from '../../model/testing-jwt.ts';
import { policyOf, serviceOf } from '../../model/testing-mesh.ts';
import type { Policy } from '../../model/types.ts';
import type { ClientInfo, Verdict } from '../exchange/context.ts';
import { requestOf } from '../testing-requests.ts';
import { KeySets } from './key-sets.ts';
import { PolicyJudge } from './request-judge.ts';
import { withoutCookie, withoutParam } from './token-places.ts';
import { TokenVerifier } from './token-verifier.ts';

const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
const jwks = JSON.stringify({ keys: [await exportJWK(publicKey)] });
const issuer = 'https://id.example';
const nowMs = Date.UTC(2026, 0, 1);
const service = serviceOf('shop/cart', { addresses: ['10.96.0.1'] });
const client: ClientInfo = {
  identity: 'spiffe://cluster.local/ns/shop/sa/web',
  workload: null,
  address: '10.1.0.9',
  port: 40_000,
  service,
  servicePort: 80,
  destinationAddress: '10.96.0.1',
  protocol: 'http1',
};

const sign = (claims: JWTPayload) => new SignJWT(claims).setProtectedHeader({ alg: 'ES256' }).sign(privateKey);
const ann = await sign({ iss: issuer, sub: 'ann', team: 'red', org: { id: 7 } });
const bob = await sign({ iss: issuer, sub: 'bob' });
const stranger = await sign({ iss: 'x', sub: 'ann' });
const expired = await sign({ iss: issuer, sub: 'ann', exp: nowMs / 1000 - 3600 });

const ruleOf = (given: Partial<JwtRule> = {}): JwtRule => jwtRuleOf({ jwks, timeoutMs: 1000, ...given });

function judgeOf(policies: readonly Policy[], jwtRules: readonly JwtRule[] = []) {
  const routes = { ...defaultServiceRoutes(service), policies, jwtRules };
  const verifier = new TokenVerifier(new KeySets(() => assert.fail('nothing should be fetched')));
  const judge = new PolicyJudge({
    routesOf: (key) => (key === 'shop/cart.shop.svc.cluster.local' ? routes : null),
    verifier,
    now: () => nowMs,
  });
  const ask = (line: string, headers: readonly (readonly [string, string])[] = []): Promise<Verdict> =>
    new Promise((resolve) => {
      const head = requestOf(line, headers);
      const verdict = judge.judge(client, head, head.target, resolve);
      if (verdict !== null) resolve(verdict);
    });
  return { judge, ask };
}

const bearer = (token: string): [string, string] => ['Authorization', `Bearer ${token}`];
const onlyAnn = policyOf('shop/ann', 'allow', [{ requestPrincipals: [{ kind: 'exact', value: `${issuer}/ann` }] }]);
const health = policyOf('shop/health', 'allow', [{ paths: [{ kind: 'exact', value: '/healthz' }] }]);

test('without policies and rules everything is let in', async () => {
  assert.equal((await judgeOf([]).ask('GET /', [bearer('nonsense')])).allowed, true);
});

// Istio's vectors for tokens at a waypoint (l7.md §5.5): [what, request, headers, status, who decided]
const rows: readonly (readonly [string, string, readonly (readonly [string, string])[], number, string | null])[] = [
  ['no token', 'GET /', [], 403, 'shop/ann'],
  ['the right subject', 'GET /', [bearer(ann)], 200, 'shop/ann'],
  ['another subject', 'GET /', [bearer(bob)], 403, 'shop/ann'],
  ['another issuer', 'GET /', [bearer(stranger)], 401, 'shop/jwt'],
  ['expired', 'GET /', [bearer(expired)], 401, 'shop/jwt'],
  ['a path that is open', 'GET /healthz', [], 200, 'shop/health'],
  ['an open path with a bad token', 'GET /healthz', [bearer('x.y.z')], 401, 'shop/jwt'],
  ['no bearer', 'GET /', [['authorization', 'Basic YTpi']], 403, 'shop/ann'],
  ['as a parameter', `GET /?a=1&access_token=${ann}`, [], 200, 'shop/ann'],
  ['bearer in another case', 'GET /', [['authorization', `bearer ${ann}`]], 200, 'shop/ann'],
  [
    'preflight, with a bad token',
    'OPTIONS /healthz',
    [bearer('x'), ['origin', 'https://a'], ['access-control-request-method', 'GET']],
    200,
    'shop/health',
  ],
];
for (const [what, line, headers, status, decidedBy] of rows) {
  test(`a request: ${what}`, async () => {
    const { ask } = judgeOf([onlyAnn, health], [ruleOf()]);
    const verdict = await ask(line, headers);
    assert.deepEqual([verdict.status, verdict.decidedBy, verdict.allowed], [status, decidedBy, status === 200]);
    if (status === 403) assert.deepEqual([verdict.body, verdict.challenge], ['RBAC: access denied', '']);
    if (status === 401)
      assert.equal(verdict.challenge, `Bearer realm="http://shop.example${line.slice(4)}", error="invalid_token"`);
  });
}

test('an audience that is not allowed is told with 403', async () => {
  const verdict = await judgeOf([], [ruleOf({ audiences: ['shop'] })]).ask('GET /', [bearer(ann)]);
  assert.deepEqual([verdict.status, verdict.body], [403, 'Audiences in Jwt are not allowed']);
});

test('a known token is judged at once', async () => {
  const { judge, ask } = judgeOf([onlyAnn], [ruleOf()]);
  await ask('GET /', [bearer(ann)]);
  const head = requestOf('GET /', [bearer(ann)]);
  const verdict = judge.judge(client, head, '/', () => assert.fail('it should be known'));
  assert.deepEqual([verdict?.allowed, verdict?.claims?.['team']], [true, 'red']);
});

test('the token is taken out, and its claims put in', async () => {
  const outputs = [
    { header: 'x-team', claim: ['team'] },
    { header: 'x-org', claim: ['org', 'id'] },
    { header: 'x-none', claim: ['none'] },
  ];
  const rule = ruleOf({ outputClaimToHeaders: outputs, outputPayloadToHeader: 'x-payload' });
  const forged: [string, string][] = [
    ['x-team', 'blue'],
    ['x-none', 'mine'],
  ];
  const { removeHeaders, setHeaders } = await judgeOf([], [rule]).ask('GET /', [bearer(ann), ...forged]);
  assert.deepEqual([...removeHeaders].sort(), ['authorization', 'x-none', 'x-team']);
  assert.deepEqual(setHeaders, [
    ['x-payload', ann.split('.')[1]],
    ['x-team', 'red'],
    ['x-org', '7'],
  ]);
  const without = await judgeOf([], [rule]).ask('GET /', forged);
  assert.deepEqual([without.allowed, without.removeHeaders, without.setHeaders], [true, ['x-team', 'x-none'], []]);
});

test('the token is kept where the rule says so', async () => {
  const rule = ruleOf({
    forwardOriginalToken: true,
    fromParams: ['t'],
    fromHeaders: [{ name: 'x-jwt', prefix: 'jwt ' }],
  });
  const { ask } = judgeOf([], [rule]);
  const verdict = await ask(`GET /?t=${ann}`, [['x-jwt', `jwt ${ann}`]]);
  assert.deepEqual([verdict.allowed, verdict.removeHeaders, verdict.target], [true, [], null]);
});

test('tokens in parameters and cookies are taken out of them', async () => {
  const { ask } = judgeOf([], [ruleOf({ fromParams: ['t'], fromCookies: ['session'] })]);
  assert.equal((await ask(`GET /a?x=1&t=${ann}&y`)).target, '/a?x=1&y');
  const verdict = await ask('GET /', [['cookie', `a=b; session=${ann}; c=d`]]);
  assert.deepEqual([verdict.removeHeaders, verdict.setHeaders], [['cookie'], [['cookie', 'a=b; c=d']]]);
  assert.equal((await ask('GET /', [bearer('nonsense')])).allowed, true);
});

for (const [target, left] of [
  ['/', '/'],
  ['/?t', '/'],
  ['/?t=1', '/'],
  ['/?a&t=1&t=2&b', '/?a&b'],
  ['/?tt=1', '/?tt=1'],
] as const) {
  test(`${target} without t`, () => assert.equal(withoutParam(target, 't'), left));
}

test('a cookie header without one of its cookies', () => {
  assert.deepEqual(
    ['a=1', 's=1', 'a=1;s=2; b=3;'].map((text) => withoutCookie(text, 's')),
    ['a=1', '', 'a=1; b=3'],
  );
});

test('hits of AUDIT and dry run are told, and decide nothing', async () => {
  const dry = policyOf('shop/dry', 'deny', [], { dryRun: true });
  const verdict = await judgeOf([policyOf('shop/audit', 'audit', []), dry]).ask('GET /');
  assert.deepEqual([verdict.allowed, verdict.policyHits], [true, ['audit shop/audit#0', 'dry-run deny shop/dry#0']]);
  assert.equal((await judgeOf([health]).ask('GET /healthz')).policyHits, undefined);
});

test('a client whose address cannot be read is not let in where a policy is', () => {
  const { judge } = judgeOf([policyOf('shop/all', 'allow', [])]);
  const odd = { ...client, address: 'unknown' };
  assert.equal(judge.judge(odd, requestOf('GET /'), '/', () => undefined)?.status, 403);
});

test('requests of one client are judged each by itself', async () => {
  const { ask } = judgeOf([health]);
  const verdicts = await Promise.all(['GET /healthz', 'GET /x', 'GET /healthz?x'].map((line) => ask(line)));
  assert.deepEqual(
    verdicts.map((verdict) => verdict.allowed),
    [true, false, true],
  );
});

test('what changes while a token is verified counts', async () => {
  const plain = defaultServiceRoutes(service);
  let routes: ServiceRoutes = { ...plain, policies: [onlyAnn], jwtRules: [ruleOf()] };
  const verifier = new TokenVerifier(new KeySets(() => assert.fail('nothing should be fetched')));
  const judge = new PolicyJudge({ routesOf: () => routes, verifier, now: () => nowMs });
  assert.equal(judge.isStale(client), true, 'it was never asked');
  const verdict = await new Promise<Verdict>((resolve) => {
    assert.equal(judge.judge(client, requestOf('GET /', [bearer(ann)]), '/', resolve), null);
    assert.equal(judge.isStale(client), false);
    routes = { ...routes, policies: [health] };
    assert.equal(judge.isStale(client), true);
  });
  assert.deepEqual([verdict.allowed, judge.isStale(client)], [false, false]);
});

// Policy and tokens as clients meet them: an HTTP service over real connections, with the judge that waypoints have.
import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { JwtRule, ServiceRoutes } from '../../model/route-types.ts';
import { defaultServiceRoutes } from '../../model/routes/route-defaults.ts';
import { policyOf } from '../../model/testing-mesh.ts';
import type { Policy } from '../../model/types.ts';
import { cartKey, cartService, listen, sceneOf } from '../exchange/testing-service.ts';
import { fetchText } from './fetch-text.ts';
import { KeySets } from './key-sets.ts';
import { PolicyJudge } from './request-judge.ts';
import { TokenVerifier } from './token-verifier.ts';

const { privateKey, publicKey } = await generateKeyPair('RS256');
const jwks = JSON.stringify({ keys: [await exportJWK(publicKey)] });
const issuer = 'https://id.example';
const sign = (sub: string) => new SignJWT({ iss: issuer, sub }).setProtectedHeader({ alg: 'RS256' }).sign(privateKey);

const echo: RequestListener = (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => response.end(`${request.url} ${JSON.stringify(request.headers)} ${Buffer.concat(chunks)}`));
};

function judgeOf(policies: readonly Policy[], jwtRules: readonly JwtRule[]): PolicyJudge {
  const routes: ServiceRoutes = { ...defaultServiceRoutes(cartService), policies, jwtRules };
  const verifier = new TokenVerifier(new KeySets(fetchText));
  return new PolicyJudge({ routesOf: (key) => (key === cartKey ? routes : null), verifier, now: Date.now });
}

function ruleOf(jwksUri: string): JwtRule {
  return {
    issuers: [issuer],
    audiences: [],
    jwks: '',
    jwksUri,
    fromHeaders: [],
    fromParams: [],
    fromCookies: [],
    forwardOriginalToken: false,
    outputPayloadToHeader: '',
    outputClaimToHeaders: [{ header: 'x-sub', claim: ['sub'] }],
    spaceDelimitedClaims: [],
    timeoutMs: 10_000,
    policy: 'shop/jwt',
  };
}

test('tokens and paths decide, over real connections, with keys that have to be fetched', async (t) => {
  let fetches = 0;
  const keys = createServer((_request, response) => {
    fetches++;
    response.end(jwks);
  });
  await listen(keys);
  t.after(() => {
    keys.closeAllConnections();
    keys.close();
  });
  const { port } = keys.address() as AddressInfo;
  const ann = policyOf('shop/ann', 'allow', [{ requestPrincipals: [{ kind: 'exact', value: `${issuer}/ann` }] }]);
  const health = policyOf('shop/health', 'allow', [{ paths: [{ kind: 'exact', value: '/healthz' }] }]);
  const admin = policyOf('shop/admin', 'deny', [{ paths: [{ kind: 'template', value: '/admin/{**}' }] }]);
  const judge = judgeOf([admin, ann, health], [ruleOf(`http://127.0.0.1:${port}/keys`)]);
  const { ask, records } = await sceneOf(t, { endpoints: [echo], context: { judge } });
  const as = async (sub: string) => ({ authorization: `Bearer ${await sign(sub)}` });

  const posts = await Promise.all(
    [1, 2, 3].map(async (at) => ask(`/?${at}`, { method: 'POST', headers: await as('ann'), body: `body ${at}` })),
  );
  for (const [at, { status, body }] of posts.entries()) {
    assert.equal(status, 200);
    assert.match(body, new RegExp(`"x-sub":"ann".* body ${at + 1}$`));
    assert.doesNotMatch(body, /authorization/);
  }
  assert.equal(fetches, 1);
  const statuses = [
    await ask('/', { headers: await as('bob') }),
    await ask('/'),
    await ask('/healthz'),
    await ask('/healthz', { headers: { authorization: 'Bearer no.such.token' } }),
    await ask('/x/..//admin/users', { headers: await as('ann') }),
    await ask('/x/../admin/users', { headers: await as('ann') }),
    await ask('/%61dmin/users', { headers: await as('ann') }),
  ].map((answer) => answer.status);
  assert.deepEqual(statuses, [403, 403, 200, 401, 200, 403, 403]);
  const told = records.slice(-4).map(({ flag, decidedBy }) => [flag, decidedBy]);
  assert.deepEqual(told, [
    ['UNAUTHENTICATED', 'shop/jwt'],
    ['-', 'shop/ann'],
    ['DENY', 'shop/admin'],
    ['DENY', 'shop/admin'],
  ]);
});

test('keys that cannot be fetched refuse the token, not the service', async (t) => {
  const judge = judgeOf([], [ruleOf('http://127.0.0.1:1/keys')]);
  const { ask } = await sceneOf(t, { endpoints: [echo], context: { judge } });
  const refused = await ask('/', { headers: { authorization: `Bearer ${await sign('ann')}` } });
  assert.deepEqual([refused.status, refused.body], [401, 'Jwks remote fetch is failed']);
  assert.equal((await ask('/', { headers: { 'x-sub': 'forged' } })).body.includes('forged'), false);
});

import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { ManualClock } from '../base/manual-clock.ts';
import { JwtVerifier, jwksOf, signJwt } from './jwt.ts';

const issuer = 'https://lab.ambient';

function setUp(context: TestContext) {
  const dir = mkdtempSync(path.join(tmpdir(), 'ambient-jwt-'));
  context.after(() => rmSync(dir, { recursive: true, force: true }));
  const jwksFile = path.join(dir, 'jwks.json');
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(jwksFile, JSON.stringify(jwksOf(keys.publicKey, 'one')));
  const clock = new ManualClock();
  const verifier = new JwtVerifier({ issuer, jwksFile, audiences: ['ambient-controller', 'istio-ca'], clock });
  const nowS = clock.now() / 1000;
  const claims = {
    iss: issuer,
    aud: ['istio-ca'],
    sub: 'system:serviceaccount:ambient-system:ambient-node',
    exp: nowS + 600,
    'kubernetes.io': {
      namespace: 'ambient-system',
      serviceaccount: { name: 'ambient-node', uid: 'u1' },
      pod: { name: 'ambient-node-a', uid: 'u2' },
      node: { name: 'a', uid: 'u3' },
    },
  };
  return { jwksFile, keys, clock, verifier, claims, nowS };
}

test('a bound token is verified and taken apart', (context) => {
  const { verifier, claims, keys } = setUp(context);
  const verified = verifier.verify(signJwt(claims, keys.privateKey, 'one'));
  assert.equal(verified.subject, claims.sub);
  assert.deepEqual(verified.pod, { name: 'ambient-node-a', uid: 'u2' });
  assert.deepEqual(verified.node, { name: 'a', uid: 'u3' });
  assert.deepEqual(verified.serviceAccount, { name: 'ambient-node', uid: 'u1' });
  assert.equal(verified.namespace, 'ambient-system');
});

test('an RS256 token is verified', (context) => {
  const { verifier, claims, jwksFile } = setUp(context);
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(
    jwksFile,
    JSON.stringify({ keys: [{ ...rsa.publicKey.export({ format: 'jwk' }), kid: 'r', alg: 'RS256' }] }),
  );
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'RS256', kid: 'r' })}.${part(claims)}`;
  const token = `${signed}.${sign('sha256', Buffer.from(signed), rsa.privateKey).toString('base64url')}`;
  assert.equal(verifier.verify(token).subject, claims.sub);
});

test('a token that begins a few minutes from now: its issuer has another clock', (context) => {
  const { verifier, claims, keys, nowS } = setUp(context);
  const token = signJwt({ ...claims, nbf: nowS + 299, iat: nowS + 299 }, keys.privateKey, 'one');
  assert.equal(verifier.verify(token).subject, claims.sub);
});

type Fixture = ReturnType<typeof setUp>;
const refused: readonly (readonly [title: string, token: (fixture: Fixture) => string, reason: RegExp])[] = [
  ['another issuer', (f) => signJwt({ ...f.claims, iss: 'https://evil' }, f.keys.privateKey, 'one'), /issuer/],
  ['no issuer', (f) => signJwt({ ...f.claims, iss: undefined }, f.keys.privateKey, 'one'), /issuer/],
  ['another audience', (f) => signJwt({ ...f.claims, aud: 'api' }, f.keys.privateKey, 'one'), /audience/],
  ['no audience', (f) => signJwt({ ...f.claims, aud: undefined }, f.keys.privateKey, 'one'), /audience/],
  ['expired', (f) => signJwt({ ...f.claims, exp: f.nowS }, f.keys.privateKey, 'one'), /expired/],
  ['no end', (f) => signJwt({ ...f.claims, exp: undefined }, f.keys.privateKey, 'one'), /no end/],
  ['an end that is no number', (f) => signJwt({ ...f.claims, exp: '99999999999' }, f.keys.privateKey, 'one'), /no end/],
  ['of the future', (f) => signJwt({ ...f.claims, nbf: f.nowS + 301 }, f.keys.privateKey, 'one'), /not valid yet/],
  ['no subject', (f) => signJwt({ ...f.claims, sub: undefined }, f.keys.privateKey, 'one'), /subject/],
  [
    'another key under the same id',
    (f) => signJwt(f.claims, generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, 'one'),
    /signature/,
  ],
  ['an unknown key id', (f) => signJwt(f.claims, f.keys.privateKey, 'two'), /not in the JWKS/],
  ['unsigned', (f) => `${b64({ alg: 'none' })}.${b64(f.claims)}.AA`, /signed with none/],
  ['HMAC over the public key', (f) => `${b64({ alg: 'HS256' })}.${b64(f.claims)}.AA`, /signed with HS256/],
  [
    'ES256 token that claims RS256',
    (f) => signJwt(f.claims, f.keys.privateKey, 'one').replace(/^[^.]+/, b64({ alg: 'RS256', kid: 'one' })),
    /not in the JWKS/,
  ],
  ['no token at all', () => '', /no JWT/],
  ['two parts', () => 'a.b', /no JWT/],
  ['four parts', (f) => `${signJwt(f.claims, f.keys.privateKey, 'one')}.x`, /no JWT/],
  ['rubbish', () => '@@@.###.$$$', /no JWT/],
  ['far too long', () => 'a'.repeat(100_000), /no JWT/],
  ['claims changed after signing', (f) => changed(signJwt(f.claims, f.keys.privateKey, 'one'), f), /signature/],
];

function b64(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function changed(token: string, fixture: Fixture): string {
  const [header, , signature] = token.split('.');
  return `${header}.${b64({ ...fixture.claims, sub: 'system:serviceaccount:kube-system:admin' })}.${signature}`;
}

for (const [title, token, reason] of refused) {
  test(`a token is refused: ${title}`, (context) => {
    const fixture = setUp(context);
    assert.throws(() => fixture.verifier.verify(token(fixture)), { code: 'CALLER_REFUSED', message: reason });
  });
}

test('a rotated key counts at once, and a broken key file leaves the good keys in use', (context) => {
  const { verifier, claims, jwksFile, keys } = setUp(context);
  const first = signJwt(claims, keys.privateKey, 'one');
  verifier.verify(first);
  const next = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(jwksFile, JSON.stringify(jwksOf(next.publicKey, 'the-second-key')));
  const second = signJwt(claims, next.privateKey, 'the-second-key');
  verifier.verify(second);
  assert.throws(() => verifier.verify(first), { code: 'CALLER_REFUSED' });
  writeFileSync(jwksFile, '{');
  verifier.verify(second);
});

test('a key file that was never there refuses everyone with its name', (context) => {
  const { claims, keys, clock } = setUp(context);
  const verifier = new JwtVerifier({ issuer, jwksFile: '/nowhere/jwks.json', audiences: ['istio-ca'], clock });
  assert.throws(() => verifier.verify(signJwt(claims, keys.privateKey, 'one')), {
    code: 'INPUT_UNREADABLE',
    message: /nowhere/,
  });
});

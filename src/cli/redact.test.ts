// No secret gets through the redactor, whatever stands around it; and what is no secret does.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { redactLines, redactText, redactValue } from './redact.ts';

const letters = 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789'.split('');
const secret = fc
  .array(fc.constantFrom(...letters, '-', '_', '.', '+', '/', '='), { minLength: 20, maxLength: 60 })
  .map((signs) => `Cy${signs.join('')}Zq`);
const plainSecret = fc
  .array(fc.constantFrom(...letters), { minLength: 20, maxLength: 60 })
  .map((signs) => signs.join(''));
const noise = fc.string({ maxLength: 30 }).map((text) => text.replace(/[\n\r"'`\\<>]/g, ' '));

const texts: Readonly<Record<string, (secret: string) => string>> = {
  'a header': (s) => `Authorization: Bearer ${s}`,
  'a header of another scheme': (s) => `proxy-authorization: Custom ${s}`,
  'a header in JSON': (s) => JSON.stringify({ headers: { authorization: `Bearer ${s}` } }),
  'JSON in JSON': (s) => JSON.stringify({ msg: JSON.stringify({ authorization: `Bearer ${s}`, next: 1 }) }),
  'a cookie': (s) => `Cookie: a=b; session=${s}`,
  'an assignment': (s) => `PASSWORD=${s}`,
  'a prefixed one': (s) => `DB_PASSWORD=${s} next`,
  'a quoted one': (s) => `client_secret: "${s} with a blank"`,
  'a field': (s) => `"apiKey": "${s}"`,
  'a query': (s) => `GET /x?access_token=${s}&y=1`,
  'words in a text': (s) => `sent Bearer ${s} to it`,
};
for (const [what, make] of Object.entries(texts)) {
  test(`property: ${what}`, () => {
    fc.assert(
      fc.property(secret, noise, noise, (value, before, after) => {
        for (const redact of [redactText, redactLines]) {
          const text = redact(`${before} ${make(value)}\n${after}`);
          assert.equal(text.includes(value), false, text);
          assert.equal(redact(text), text, 'once is enough');
        }
      }),
      { numRuns: 150 },
    );
  });
}

test('property: the password of an address, whatever signs it has', () => {
  const sign = fc.constantFrom(...letters, '/', '@', ':', '?', '#', '%', '&');
  const password = fc.array(sign, { minLength: 12, maxLength: 40 }).map((signs) => signs.join(''));
  fc.assert(
    fc.property(password, noise, (value, around) => {
      const text = redactText(`${around} postgres://user:${value}@db.shop:5432/x ${around}`);
      assert.equal(text.includes(value), false, text);
    }),
  );
});

const objects: Readonly<Record<string, (secret: string) => unknown>> = {
  'a Secret': (s) => ({ kind: 'Secret', data: { anything: s }, stringData: { other: s } }),
  'a variable': (s) => ({ spec: { containers: [{ env: [{ name: 'HARMLESS', value: s }] }] } }),
  arguments: (s) => ({ args: ['--user', 'me', '--password', s, `--token=${s}`] }),
  'a header that a route sets': (s) => ({ set: [{ name: 'Authorization', value: `Custom ${s}` }] }),
  'a header that a policy wants': (s) => ({ when: [{ key: 'request.headers[x-api-key]', values: [s] }] }),
  'a header that a match wants': (s) => ({ headers: { authorization: { exact: s }, cookie: { regex: s } } }),
  'headers of a VirtualService': (s) => ({ headers: { request: { set: { 'x-auth-token': s } } } }),
  'the private parts of a key': (s) => ({
    jwks: {
      keys: [
        { kty: 'EC', crv: 'P-256', d: s },
        { kty: 'oct', k: s },
      ],
    },
  }),
  'what kubectl keeps': (s) => ({
    annotations: { 'kubectl.kubernetes.io/last-applied-configuration': `{"a":"${s}"}` },
  }),
  'lists of it': (s) => ({ apiTokens: [s, s] }),
};
for (const [what, make] of Object.entries(objects)) {
  test(`property: ${what}`, () => {
    fc.assert(
      fc.property(plainSecret, (value) => {
        const text = JSON.stringify(redactValue({ items: [make(value)] }));
        assert.equal(text.includes(value), false, text);
      }),
      { numRuns: 50 },
    );
  });
}

test('a key in PEM, in one text and over lines; a certificate stays', () => {
  const body = 'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\nabcdefghijklmnop';
  const key = `-----BEGIN EC PRIVATE KEY-----\n${body}\n-----END EC PRIVATE KEY-----`;
  assert.equal(redactText(`a\n${key}\nb`), 'a\n[redacted]\nb');
  assert.equal(redactText(JSON.stringify({ note: key })).includes('abcdefgh'), false);
  const certificate = key.replaceAll('EC PRIVATE KEY', 'CERTIFICATE');
  assert.equal(redactText(certificate), certificate);
});

const kept = [
  'tokenFile=/var/run/secrets/tokens/token',
  '{"secretName":"ambient-ca","tokenAudience":"ambient-controller"}',
  'spiffe://cluster.local/ns/shop/sa/web',
  'GET http://catalog.shop/items?id=7 200',
  '{"time":"2026-11-21T12:00:00Z","source":{"address":"10.0.0.1:80"},"flag":"-"}',
  'the token was refused: it has expired',
  'https://10.80.0.1:15012 is not reachable',
];
for (const text of kept) test(`kept: ${text}`, () => assert.equal(redactLines(text), text));

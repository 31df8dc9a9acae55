import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { ManualClock } from '../base/manual-clock.ts';
import {
  CertificateManager,
  type CertificateManagerOptions,
  type SignedChain,
  type SignRequest,
} from './certificate-manager.ts';
import { createCsr, parseCsr } from './csr.ts';
import { createRoot, createWorkloadLeaf } from './x509.ts';

const web = 'spiffe://cluster.local/ns/shop/sa/web';
const cart = 'spiffe://cluster.local/ns/shop/sa/cart';
const ttlMs = 24 * 3_600_000;
const backDateMs = 300_000;

/** An authority in memory: signs what it is asked, or does what a test says. */
function setUp(context: TestContext, change: Partial<CertificateManagerOptions> = {}, authorityAheadMs = 0) {
  const clock = new ManualClock(Date.now());
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const life = { notBeforeMs: clock.now() - ttlMs, notAfterMs: clock.now() + 1000 * ttlMs };
  const rootPem = createRoot(keys, 'cluster.local', life);
  const issuer = { certificate: new X509Certificate(rootPem), privateKey: keys.privateKey };
  const signAs = (identity: string, csrPem: string): SignedChain => {
    const nowMs = clock.now() + authorityAheadMs;
    const validity = { notBeforeMs: nowMs - backDateMs, notAfterMs: nowMs + ttlMs };
    return { chainPem: [createWorkloadLeaf(issuer, parseCsr(csrPem).spki, identity, validity)], rootsPem: [rootPem] };
  };
  const authority = {
    requests: [] as SignRequest[],
    answer: async (request: SignRequest): Promise<SignedChain> => signAs(request.identity, request.csrPem),
    signAs,
  };
  const sign = (request: SignRequest): Promise<SignedChain> => {
    authority.requests.push(request);
    return authority.answer(request);
  };
  const manager = new CertificateManager({ sign, clock, random: () => 0, ttlMs, identitiesMax: 100, ...change });
  context.after(() => manager.close());
  return { clock, authority, manager };
}

test('a wanted certificate arrives, with the key that was asked for', async (context) => {
  const { manager, authority } = setUp(context);
  manager.want(web, 'connection');
  manager.want(web, 'warmup');
  const [issued] = await once(manager, 'certificate');
  assert.equal(issued.identity, web);
  assert.equal(authority.requests.length, 1, 'wanting twice asks once');
  assert.equal(manager.current(web), issued);
  const [view] = manager.views();
  assert.equal(view?.state, 'available');
  assert.deepEqual(
    view?.chain.map((link) => link.type),
    ['leaf', 'root'],
  );
});

test('no key and no token shows in a view', async (context) => {
  const { manager } = setUp(context);
  manager.want(web, 'connection');
  await once(manager, 'certificate');
  assert.doesNotMatch(JSON.stringify(manager.views()), /PRIVATE|BEGIN/);
});

test('renewal comes at half-life, with a new key, and the old certificate serves until then', async (context) => {
  const { manager, clock, authority } = setUp(context);
  manager.want(web, 'connection');
  const [first] = await once(manager, 'certificate');
  clock.advance(ttlMs / 2 - 60_000);
  assert.equal(authority.requests.length, 1);
  assert.equal(manager.current(web), first);
  clock.advance(60_000);
  const [second] = await once(manager, 'certificate');
  assert.equal(authority.requests.length, 2);
  assert.notEqual(second.keyPem, first.keyPem);
  assert.equal(manager.current(web), second);
});

for (const aheadMs of [240_000, -240_000, 3_600_000]) {
  test(`an authority whose clock is ${aheadMs / 1000} s ahead: renewed by our own clock`, async (context) => {
    const { manager, clock, authority } = setUp(context, {}, aheadMs);
    manager.want(web, 'connection');
    const [first] = await once(manager, 'certificate');
    assert.equal(manager.current(web), first);
    const endMs = Math.floor((clock.now() + aheadMs + ttlMs) / 1000) * 1000;
    const renewsInMs = (clock.nextAtMs ?? 0) - clock.now();
    const halfMs = (endMs - Math.max(clock.now(), first.notBeforeMs)) / 2;
    assert.ok(Math.abs(renewsInMs - halfMs) < 1_000, `${renewsInMs} of ${halfMs}`);
    clock.advance(renewsInMs);
    const [second] = await once(manager, 'certificate');
    assert.equal(authority.requests.length, 2);
    assert.equal(manager.current(web), second);
  });
}

test('jitter brings renewal forward by at most a tenth of the half-life', async (context) => {
  const { manager, clock } = setUp(context, { random: () => 0.999_999 });
  const startMs = clock.now();
  manager.want(web, 'connection');
  await once(manager, 'certificate');
  const renewsAfterMs = (clock.nextAtMs ?? 0) - startMs;
  assert.ok(renewsAfterMs >= ttlMs * 0.449 && renewsAfterMs < ttlMs * 0.46, String(renewsAfterMs));
});

test('while renewal fails, the certificate serves until it expires and no longer', async (context) => {
  const { manager, clock, authority } = setUp(context);
  manager.want(web, 'connection');
  const [first] = await once(manager, 'certificate');
  authority.answer = () => Promise.reject(new Error('no controller'));
  clock.advance(ttlMs / 2);
  const [failure] = await once(manager, 'failed');
  assert.equal(failure.servedUntilMs, first.notAfterMs);
  assert.equal(manager.current(web), first);
  assert.deepEqual([manager.views()[0]?.state, manager.views()[0]?.reason], ['available', 'no controller']);
  clock.advance(first.notAfterMs - clock.now());
  assert.equal(manager.current(web), null);
  assert.equal(manager.views()[0]?.state, 'unavailable');
});

test('a failing request is repeated with doubled delays up to 150 s', async (context) => {
  const { manager, clock, authority } = setUp(context, { random: () => 0 });
  authority.answer = () => Promise.reject(new Error('no controller'));
  manager.want(web, 'connection');
  const delaysMs: number[] = [];
  for (let round = 0; round < 12; round++) {
    await once(manager, 'failed');
    await new Promise(setImmediate);
    const delayMs = (clock.nextAtMs ?? 0) - clock.now();
    delaysMs.push(delayMs);
    clock.advance(delayMs);
  }
  assert.deepEqual(delaysMs, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 150_000, 150_000, 150_000]);
});

test('a connection that comes during the backoff is told at once; retryNow asks at once', async (context) => {
  const { manager, authority } = setUp(context);
  const { answer } = authority;
  authority.answer = () => Promise.reject(new Error('no controller'));
  manager.want(web, 'warmup');
  await once(manager, 'failed');
  await new Promise(setImmediate);
  manager.want(web, 'connection');
  const [failure] = await once(manager, 'failed');
  assert.equal(failure.reason, 'no controller');
  assert.equal(authority.requests.length, 1);
  authority.answer = answer;
  manager.retryNow();
  await once(manager, 'certificate');
});

const wrongAnswers = [
  ['another identity', (sign, request) => sign(cart, request.csrPem)],
  ['another key', (sign) => sign(web, otherCsr())],
  ['an empty chain', () => ({ chainPem: [], rootsPem: [] })],
  ['no root', (sign, request) => ({ ...sign(web, request.csrPem), rootsPem: [] })],
] as const satisfies readonly (readonly [
  string,
  (sign: (identity: string, csrPem: string) => SignedChain, request: SignRequest) => SignedChain,
])[];

for (const [title, answer] of wrongAnswers) {
  test(`an answer is not taken into use: ${title}`, async (context) => {
    const { manager, authority } = setUp(context);
    authority.answer = async (request) => answer(authority.signAs, request);
    manager.want(web, 'connection');
    const [failure] = await once(manager, 'failed');
    assert.match(failure.reason, /^no certificate for/);
    assert.equal(manager.current(web), null);
  });
}

function otherCsr(): string {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return createCsr(web, keys);
}

test('at most 8 requests are under way, connections first', async (context) => {
  const { manager, authority } = setUp(context);
  const gates: (() => void)[] = [];
  authority.answer = async (request) => {
    await new Promise<void>((resolve) => gates.push(resolve));
    return authority.signAs(request.identity, request.csrPem);
  };
  const name = (index: number): string => `spiffe://cluster.local/ns/shop/sa/s${index}`;
  for (let index = 0; index < 20; index++) manager.want(name(index), 'warmup');
  assert.equal(authority.requests.length, 8);
  manager.want(name(19), 'connection');
  manager.want(web, 'connection');
  gates.shift()?.();
  await once(manager, 'certificate');
  await new Promise(setImmediate);
  assert.equal(authority.requests.at(-1)?.identity, name(19), 'raised ahead of what waited before it');
  while (gates.length > 0) {
    gates.shift()?.();
    await new Promise(setImmediate);
  }
  assert.equal(manager.views().filter((view) => view.state === 'available').length, 21);
});

test('what is forgotten under way is never emitted and leaves no timer', async (context) => {
  const { manager, authority, clock } = setUp(context);
  let answerIt = (): void => {};
  authority.answer = async (request) => {
    await new Promise<void>((resolve) => {
      answerIt = resolve;
    });
    return authority.signAs(request.identity, request.csrPem);
  };
  manager.on('certificate', () => assert.fail('emitted after it was forgotten'));
  manager.want(web, 'connection');
  manager.forget(web);
  answerIt();
  await new Promise(setImmediate);
  assert.equal(clock.pending, 0);
  assert.deepEqual(manager.views(), []);
});

test('identities are bounded and must be SPIFFE ids', (context) => {
  const { manager } = setUp(context, { identitiesMax: 1 });
  manager.want(web, 'warmup');
  assert.throws(() => manager.want(cart, 'warmup'), { code: 'LIMIT_REACHED' });
  assert.throws(() => manager.want('spiffe://x', 'warmup'), { code: 'IDENTITY_INVALID' });
});

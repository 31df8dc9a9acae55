import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { MeshError } from '../base/errors.ts';
import type { IssuedCertificate, SignedChain, SignRequest } from '../identity/certificate-manager.ts';
import { parseCsr } from '../identity/csr.ts';
import { createRoot, createWorkloadLeaf } from '../identity/x509.ts';
import { canonicalSerial, RevocationList } from '../model/revocation.ts';
import { createLogger } from '../telemetry/logger.ts';
import { CertificateKeeper, revocationOf } from './certificate-keeper.ts';
import type { ToDataThread } from './messages.ts';

const web = 'spiffe://cluster.local/ns/shop/sa/web';
const cart = 'spiffe://cluster.local/ns/shop/sa/cart';
const hourMs = 3_600_000;
const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const life = { notBeforeMs: Date.now() - hourMs, notAfterMs: Date.now() + hourMs };
const rootPem = createRoot(keys, 'cluster.local', life);
const issuer = { certificate: new X509Certificate(rootPem), privateKey: keys.privateKey };

async function signIt({ identity, csrPem }: SignRequest): Promise<SignedChain> {
  return { chainPem: [createWorkloadLeaf(issuer, parseCsr(csrPem).spki, identity, life)], rootsPem: [rootPem] };
}

function keep(
  context: TestContext,
  sign = signIt,
  restored: readonly IssuedCertificate[] = [],
  revocations = new RevocationList(),
) {
  const told: ToDataThread[] = [];
  let wake = (): void => {};
  const keeper = new CertificateKeeper({
    sign,
    ttlMs: hourMs,
    clock: systemClock,
    random: Math.random,
    log: createLogger({ level: 'silent', format: 'json' }),
    revoked: (certificate) => revocationOf(certificate, revocations),
    broadcast: (message) => {
      told.push(message);
      wake();
    },
    onChange: () => wake(),
  });
  context.after(() => keeper.close());
  keeper.restore(restored);
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return { keeper, told, until };
}

/** The types of messages about `identity`, in order. */
function about(told: readonly ToDataThread[], identity: string): string[] {
  return told.filter((message) => 'identity' in message && message.identity === identity).map(({ type }) => type);
}

test('identities of local pods are certified before anyone asks, and forgotten with the last pod', async (context) => {
  const { keeper, told, until } = keep(context);
  keeper.setLocal(new Set([web, cart]));
  await until(() => keeper.missing().length === 0);
  assert.equal(keeper.messages().length, 2);
  keeper.setLocal(new Set([web]));
  assert.deepEqual(about(told, cart), ['certificate', 'certificateForgotten']);
  assert.equal(keeper.held().length, 1);
});

test('a thread gets what is in service at once', async (context) => {
  const { keeper, until } = keep(context);
  keeper.setLocal(new Set([web]));
  await until(() => keeper.missing().length === 0);
  const replies: ToDataThread[] = [];
  keeper.wanted(web, (message) => replies.push(message));
  assert.deepEqual(about(replies, web), ['certificate']);
});

test('an identity that no local pod has is never asked for', (context) => {
  let asked = 0;
  const { keeper } = keep(context, (request) => {
    asked += 1;
    return signIt(request);
  });
  const replies: ToDataThread[] = [];
  keeper.wanted(cart, (message) => replies.push(message));
  assert.deepEqual(about(replies, cart), ['certificateFailed']);
  assert.equal(asked, 0);
});

test('a refusal reaches the threads, so that nobody waits in vain', async (context) => {
  const refuse = async (): Promise<never> => {
    throw new MeshError('CA_REFUSED', { identity: web, reason: 'no' });
  };
  const { keeper, told, until } = keep(context, refuse);
  keeper.setLocal(new Set([web]));
  await until(() => about(told, web).includes('certificateFailed'));
  assert.deepEqual(keeper.missing(), [web]);
});

test('certificates of the last run serve again; one whose key is another’s does not', async (context) => {
  const first = keep(context);
  first.keeper.setLocal(new Set([web, cart]));
  await first.until(() => first.keeper.missing().length === 0);
  const [one, other] = first.keeper.held();
  assert.ok(one && other);
  const never = (): Promise<never> => new Promise(() => {});
  const { keeper } = keep(context, never, [one, { ...other, keyPem: one.keyPem }]);
  keeper.setLocal(new Set([web, cart]));
  assert.deepEqual(keeper.missing(), [other.identity]);
});

test('a certificate that was revoked is given up and another asked for; what is still revoked is not taken', async (context) => {
  const revocations = new RevocationList();
  const { keeper, told, until } = keep(context, signIt, [], revocations);
  keeper.setLocal(new Set([web, cart]));
  await until(() => keeper.missing().length === 0);
  const held = keeper.held().find(({ identity }) => identity === web) ?? assert.fail();
  const serial = canonicalSerial(new X509Certificate(held.chainPem[0] ?? '').serialNumber) ?? '';
  const stolen = { namespace: 'ambient-system', name: 'stolen', serials: [serial], identities: [] };
  revocations.apply({ revocations: [stolen] });
  keeper.recheck();
  assert.deepEqual(keeper.missing(), [web]);
  assert.equal(keeper.views().find(({ identity }) => identity === web)?.reason, 'revoked by ambient-system/stolen');
  await until(() => keeper.missing().length === 0);
  assert.deepEqual(about(told, web), ['certificate', 'certificateForgotten', 'certificate']);
  assert.deepEqual(about(told, cart), ['certificate']);
  const identities = [{ identity: web, issuedBeforeMs: Date.now() }];
  revocations.apply({ revocations: [{ ...stolen, identities }] });
  keeper.recheck();
  await until(() => about(told, web).includes('certificateFailed'));
  assert.deepEqual(keeper.missing(), [web], 'this authority goes on issuing from an hour ago');
});

// Spans on their way to a receiver that asks for something: a key in a header, an authority of its own, gzip.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { CertificateAuthority } from '../../src/identity/certificate-authority.ts';
import { otlpDelivery } from '../../src/telemetry/traces/otlp-http.ts';
import { Span, SpanKind } from '../../src/telemetry/traces/span.ts';
import { type ServerKeys, TestReceiver } from '../../src/telemetry/traces/testing-receiver.ts';

const never = new AbortController().signal;
const hourMs = 3_600_000;
const taken = { kind: 'taken', rejected: 0, reason: '' };
/** Credentials are read again after so long. */
const againMs = 10_000;

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'ambient-test-'));
  t.after(() => rmSync(dir, { recursive: true }));
  return dir;
}

function span(): Span {
  return new Span(
    {
      ...{ name: 'GET', kind: SpanKind.Server, traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), parentId: '' },
      ...{ isRemote: false, state: '', startMs: 1, endMs: 2, attributes: { text: 'x'.repeat(5_000) }, error: null },
    },
    { resource: { attributes: {} }, instrumentationScope: { name: 'ambient', version: '1' } },
  );
}

async function sceneOf(t: TestContext, compression: 'none' | 'gzip', keys: ServerKeys | null = null) {
  const credentialsDir = folder(t);
  const receiver = new TestReceiver(keys);
  t.after(() => receiver.close());
  const endpoint = await receiver.listen();
  const clock = new ManualClock();
  const deliver = otlpDelivery({ endpoint, credentialsDir, compression }, clock);
  const write = (name: string, text: string): void => writeFileSync(join(credentialsDir, name), text);
  return { receiver, write, clock, credentialsDir, send: () => deliver([span()], never) };
}

test('headers of the file go with every batch, and follow it', async (t) => {
  const { receiver, write, clock, send } = await sceneOf(t, 'none');
  assert.deepEqual(await send(), taken);
  assert.equal(receiver.headers['api-key'], undefined);
  write('headers', '# of the vendor\napi-key: SECRET-1\n\nAuthorization: Bearer a b=\r\n');
  clock.advance(againMs);
  assert.deepEqual(await send(), taken);
  assert.deepEqual([receiver.headers['api-key'], receiver.headers['authorization']], ['SECRET-1', 'Bearer a b=']);
  write('headers', 'api-key: SECRET-2\n');
  clock.advance(againMs);
  assert.deepEqual(await send(), taken);
  assert.deepEqual([receiver.headers['api-key'], receiver.headers['authorization']], ['SECRET-2', undefined]);
  assert.equal(receiver.spans.length, 3);
});

for (const [line, reason] of [
  ['SECRET', /headers:2: not a header: write NAME: VALUE$/],
  ['api-key: SECRET\u0007', /headers:2: not a header/],
  ['Content-Type: SECRET', /headers:2: content-type is set by the sender$/],
] as const) {
  test(`a line that is no header (${JSON.stringify(line)}) is named, not shown`, async (t) => {
    const { receiver, write, clock, send } = await sceneOf(t, 'none');
    write('headers', `api-key: SECRET\n${line}\n`);
    const delivery = await send();
    assert.ok(delivery.kind === 'failed' && !delivery.reason.includes('SECRET'), JSON.stringify(delivery));
    assert.match(delivery.reason, reason);
    assert.equal(receiver.posts, 0);
    write('headers', 'api-key: SECRET\n');
    clock.advance(againMs);
    assert.deepEqual(await send(), taken);
  });
}

test('gzip', async (t) => {
  const { receiver, send } = await sceneOf(t, 'gzip');
  assert.deepEqual(await send(), taken);
  assert.equal(receiver.headers['content-encoding'], 'gzip');
  assert.ok(Number(receiver.headers['content-length']) < 1_000);
  assert.equal(String(receiver.spans[0]!.attributes['text']).length, 5_000);
});

test('HTTPS: who vouches for the receiver is in the file', async (t) => {
  const authority = new CertificateAuthority({
    ...{ dir: folder(t), trustDomain: 'cluster.local', clock: systemClock, overlapMs: hourMs },
  });
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { chainPem } = authority.issueServer(['127.0.0.1'], pair.publicKey, hourMs);
  const key = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const { receiver, write, clock, send } = await sceneOf(t, 'none', { key, cert: chainPem.join('') });
  const refused = await send();
  assert.ok(
    refused.kind === 'failed' && /certificate .*ca\.crt of tracing\.credentialsDir/.test(refused.reason),
    JSON.stringify(refused),
  );
  write('ca.crt', 'nonsense');
  clock.advance(againMs);
  assert.equal((await send()).kind, 'failed');
  write('ca.crt', authority.rootsPem().join(''));
  clock.advance(againMs);
  assert.deepEqual([await send(), receiver.spans.length], [taken, 1]);
});

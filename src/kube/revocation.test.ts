// CertificateRevocation as operators write it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readManifests } from './manifests.ts';
import { compileText } from './testing-compile.ts';

const web = 'spiffe://cluster.local/ns/shop/sa/web';

function text(spec: string, namespace = 'ambient-system'): string {
  const metadata = `{namespace: ${namespace}, name: stolen}`;
  return `---\napiVersion: ambient.mesh/v1alpha1\nkind: CertificateRevocation\nmetadata: ${metadata}\nspec: ${spec}\n`;
}

test('serials and identities are read, and are the compiled mesh’s', () => {
  const spec = `{serials: ['00:7F:aa'], identities: [{identity: ${web}, issuedBefore: '2026-01-31T12:00:00+01:00'}]}`;
  const { compiler, issues } = compileText(text(spec));
  const issuedBeforeMs = Date.UTC(2026, 0, 31, 11);
  assert.deepEqual(compiler.mesh().revocations, [
    { namespace: 'ambient-system', name: 'stolen', serials: ['7faa'], identities: [{ identity: web, issuedBeforeMs }] },
  ]);
  assert.equal(compiler.issuedBeforeMs(web), issuedBeforeMs);
  assert.deepEqual(issues, []);
  compiler.delete('CertificateRevocation', 'ambient-system', 'stolen');
  assert.deepEqual(compiler.flush().update.removedRevocations, ['ambient-system/stolen']);
  assert.equal(compiler.issuedBeforeMs(web), 0);
});

for (const namespace of ['shop', 'istio-system']) {
  test(`in namespace ${namespace} it is refused by name, and revokes nothing`, () => {
    const { compiler } = compileText(text("{serials: ['7f']}", namespace));
    assert.deepEqual(compiler.mesh().revocations, []);
    const [issue] = compiler.issues();
    assert.deepEqual([issue?.severity, issue?.kind, issue?.name], ['error', 'CertificateRevocation', 'stolen']);
    assert.match(issue?.message ?? '', /only namespace ambient-system/);
  });
}

test('one that revokes nothing is told so', () => {
  const { compiler } = compileText(text('{}'));
  assert.deepEqual(
    compiler.issues().map(({ severity, message }) => [severity, message]),
    [['warning', 'revokes nothing']],
  );
});

const wrongRows = [
  ["{serials: ['7g']}", /spec.serials must have serial numbers in hexadecimal digits, not "7g"/],
  ['{serials: [17]}', /must be a string/],
  ['{serial: []}', /spec.serial is no known field; did you mean serials/],
  ['{identities: [{identity: shop/web, issuedBefore: "2026-01-31T12:00:00Z"}]}', /must be of the form spiffe/],
  [`{identities: [{identity: "${web}"}]}`, /must have the field issuedBefore/],
  [`{identities: [{identity: "${web}", issuedBefore: yesterday}]}`, /must be a time such as/],
  [`{identities: [{identity: "${web}", issuedBefore: "2026-01-31"}]}`, /must be a time such as/],
  [`{identities: [{identity: "${web}", issuedBefore: "2026-13-31T12:00:00Z"}]}`, /must be a time such as/],
  [`{identities: [{identity: "${web}", before: "2026-01-31T12:00:00Z"}]}`, /before is no known field/],
] as const;

for (const [spec, reason] of wrongRows) {
  test(`an error with its place: ${spec}`, () => {
    assert.throws(
      () => readManifests([{ text: text(spec), file: 'r.yaml' }]),
      (error: Error) => {
        assert.match(error.message, /^r\.yaml:\d+:\d+: /);
        assert.match(error.message, reason);
        return true;
      },
    );
  });
}

test('a kind of this group that nobody knows is an error', () => {
  const wrong = text('{}').replace('CertificateRevocation', 'CertificateRevocations');
  assert.throws(() => readManifests([{ text: wrong, file: 'r.yaml' }]), {
    message: /is no kind of ambient.mesh: "CertificateRevocations"; did you mean CertificateRevocation/,
  });
});

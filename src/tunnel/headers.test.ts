import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Workload } from '../model/types.ts';
import { emptyBaggage, formatBaggage, parseBaggage } from './baggage.ts';
import { formatForwarded, parseForwarded } from './forwarded.ts';
import { newTraceparent, parseTraceparent } from './traceparent.ts';

const client = {
  clusterId: 'Kubernetes',
  namespace: 'default',
  workloadType: 'deployment',
  workloadName: 'client',
  canonicalName: 'client',
  canonicalRevision: 'v1',
  locality: null,
} as Workload;

describe('baggage', () => {
  it('is what ztunnel sends', () => {
    assert.equal(
      formatBaggage(client),
      'k8s.cluster.name=Kubernetes,k8s.namespace.name=default,k8s.deployment.name=client,service.name=client,service.version=v1',
    );
  });
  it('leaves out what is empty', () => {
    assert.equal(formatBaggage({ ...client, clusterId: '', canonicalRevision: '' }).includes('version'), false);
    assert.deepEqual(parseBaggage(''), emptyBaggage);
  });
  it('comes back as it went, whatever the values', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (namespace, workloadName, region) => {
        const locality = { region, zone: 'z', subzone: '' };
        const parsed = parseBaggage(formatBaggage({ ...client, namespace, workloadName, locality }));
        assert.deepEqual(
          [parsed.namespace, parsed.workloadName, parsed.region, parsed.zone],
          [namespace, workloadName, region, 'z'],
        );
      }),
    );
  });
  it('reads anything without throwing', () => {
    fc.assert(fc.property(fc.string(), (text) => parseBaggage(text) !== null));
    assert.equal(parseBaggage('k8s.pod.name = a%ZZ ;p=1, x, =, service.name=s').workloadName, 'a%ZZ');
    assert.equal(parseBaggage('k8s.pod.name=a;p=1,service.name=s').service, 's');
  });
});

describe('forwarded', () => {
  const rows: [string, string, number, string][] = [
    ['for="10.77.0.1:41582"', '10.77.0.1', 41582, ''],
    ['for="10.77.0.1:28892";host=web.default.svc.cluster.local', '10.77.0.1', 28892, 'web.default.svc.cluster.local'],
    ['for="[fd00::7]:80";host=a', 'fd00::7', 80, 'a'],
  ];
  for (const [text, address, port, host] of rows) {
    it(`is ${text}`, () => {
      assert.equal(formatForwarded(address, port, host), text);
      assert.deepEqual(parseForwarded(text), { address, port, host });
    });
  }
  it('takes what it can read and nothing else', () => {
    assert.deepEqual(parseForwarded('by=x; For=10.0.0.1;host="h"'), { address: '10.0.0.1', port: 0, host: 'h' });
    assert.deepEqual(parseForwarded('for=_hidden;host=bücher'), { address: '', port: 0, host: '' });
    assert.deepEqual(parseForwarded('for="1.2.3.4:99999"'), { address: '', port: 0, host: '' });
    fc.assert(fc.property(fc.string(), (text) => parseForwarded(text) !== null));
  });
});

describe('traceparent', () => {
  it('is fresh, well formed and not sampled', () => {
    const seen = new Set(Array.from({ length: 300 }, () => newTraceparent()));
    assert.equal(seen.size, 300);
    for (const text of seen) assert.equal(parseTraceparent(text)!.sampled, false);
    assert.equal(
      newTraceparent((into) => into.fill(0xab)),
      `00-${'ab'.repeat(16)}-${'ab'.repeat(8)}-00`,
    );
  });
  it('refuses what is not exactly one', () => {
    const good = `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`;
    assert.equal(parseTraceparent(good)!.sampled, true);
    const zero = `00-${'0'.repeat(32)}-${'cd'.repeat(8)}-01`;
    for (const bad of ['', good.toUpperCase(), `${good} `, good.slice(1), zero]) {
      assert.equal(parseTraceparent(bad), null);
    }
  });
});

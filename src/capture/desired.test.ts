import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CaptureSubject, desiredCapture, noPodLinks, sameAddresses, sameStructure } from './desired.ts';

const fixed = {
  podCidrs: ['10.244.1.0/24'],
  links: noPodLinks,
  ports: { outbound: 15001, inbound: 15006, hbone: 15008 },
  failOpen: false,
};

function pod(address: string, change: Partial<CaptureSubject> = {}): CaptureSubject {
  return { addresses: [address], tunnelProtocol: 'NONE', nativeTunnel: false, hostNetwork: false, ...change };
}

const rows: { name: string; workloads: CaptureSubject[]; bypass: string[] }[] = [
  { name: 'no workload is known: everything is captured', workloads: [], bypass: [] },
  { name: 'a pod outside is released', workloads: [pod('10.244.1.2')], bypass: ['10.244.1.2'] },
  { name: 'an enrolled pod is captured', workloads: [pod('10.244.1.2', { tunnelProtocol: 'HBONE' })], bypass: [] },
  {
    name: 'a waypoint speaks for itself',
    workloads: [pod('10.244.1.2', { tunnelProtocol: 'HBONE', nativeTunnel: true })],
    bypass: ['10.244.1.2'],
  },
  {
    name: 'an address that two pods claim is captured when one of them is enrolled',
    workloads: [pod('10.244.1.2'), pod('10.244.1.2', { tunnelProtocol: 'HBONE' })],
    bypass: [],
  },
  {
    name: 'a pod in the host network counts for nothing',
    workloads: [pod('10.80.0.11', { hostNetwork: true })],
    bypass: [],
  },
  { name: 'what is no address is left out', workloads: [pod('not-an-address; flush ruleset')], bypass: [] },
  {
    name: 'both families, sorted',
    workloads: [pod('10.244.1.9', { addresses: ['fd00::9', '10.244.1.9'] }), pod('10.244.1.2')],
    bypass: ['10.244.1.2', '10.244.1.9', 'fd00::9'],
  },
];

for (const { name, workloads, bypass } of rows) {
  test(name, () => assert.deepEqual(desiredCapture(workloads, fixed).bypass, bypass));
}

test('a pod more or less is a change of the bypass, not of the structure', () => {
  const one = desiredCapture([], fixed);
  const other = desiredCapture([pod('10.244.1.2')], fixed);
  assert.deepEqual([sameStructure(one, other), sameAddresses(one, other)], [true, false]);
  assert.equal(sameStructure(one, { ...one, failOpen: true }), false);
  assert.equal(sameStructure(one, { ...one, ports: { ...one.ports, inbound: 1 } }), false);
});

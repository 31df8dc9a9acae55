// Cluster addresses, EndpointSlices, and the rules that a node makes of them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Pod, ServiceObject, ServiceSpec } from './objects.ts';
import { withCondition } from './pods.ts';
import { serviceRules } from './service-rules.ts';
import { endpointSlicesOf, ServiceAllocator } from './services.ts';

function service(spec: ServiceSpec, name = 'web'): ServiceObject {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'shop' }, spec };
}

interface PodShape {
  readonly ready?: boolean;
  readonly ending?: boolean;
  readonly port?: number;
  readonly node?: string;
}

function pod(name: string, ip: string, { ready = true, ending = false, port = 8080, node = 'n1' }: PodShape = {}): Pod {
  const base: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'shop',
      uid: name,
      labels: { app: 'web' },
      ...(ending ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    spec: { nodeName: node, containers: [{ name: 'main', ports: [{ name: 'http', containerPort: port }] }] },
    status: { phase: 'Running', conditions: [], podIPs: [{ ip }, { ip: `fd00::${name.length}` }] },
  };
  return withCondition(base, 'Ready', ready, 0);
}

const selector = { app: 'web' };
const ports = [{ name: 'http', port: 80, targetPort: 'http', protocol: 'TCP' }];

describe('addresses of services', () => {
  const families: [ServiceSpec, number[]][] = [
    [{}, [4]],
    [{ ipFamilyPolicy: 'PreferDualStack' }, [4, 6]],
    [{ ipFamilyPolicy: 'RequireDualStack', ipFamilies: ['IPv6', 'IPv4'] }, [6, 4]],
    [{ ipFamilies: ['IPv6'] }, [6]],
  ];
  for (const [spec, wanted] of families) {
    test(`${JSON.stringify(spec)} has families ${wanted.join(', ')}`, () => {
      const { clusterIPs = [] } = new ServiceAllocator().allocate(service(spec), undefined).spec;
      assert.deepEqual(
        clusterIPs.map((ip) => (ip.includes(':') ? 6 : 4)),
        wanted,
      );
    });
  }

  test('a service that is applied again keeps its address and node port', () => {
    const allocator = new ServiceAllocator();
    const first = allocator.allocate(service({ type: 'NodePort', ports }), undefined);
    const other = allocator.allocate(service({ type: 'NodePort', ports }, 'other'), undefined);
    const again = allocator.allocate(service({ type: 'NodePort', ports }), first);
    assert.deepEqual(again.spec, first.spec);
    assert.notEqual(other.spec.clusterIP, first.spec.clusterIP);
    assert.notEqual(other.spec.ports?.[0]?.nodePort, first.spec.ports?.[0]?.nodePort);
  });

  test('a headless service has none', () => {
    assert.deepEqual(new ServiceAllocator().allocate(service({ clusterIP: 'None' }), undefined).spec.clusterIPs, [
      'None',
    ]);
  });
});

describe('EndpointSlices', () => {
  const spec: ServiceSpec = { selector, ports, ipFamilies: ['IPv4'], clusterIPs: ['10.96.0.9'] };

  test('readiness and ending are conditions; a pod that has finished is not in it', () => {
    const done = {
      ...pod('done', '10.0.0.4'),
      status: { phase: 'Succeeded', conditions: [], podIPs: [{ ip: '10.0.0.4' }] },
    } as Pod;
    const pods = [
      pod('a', '10.0.0.1'),
      pod('b', '10.0.0.2', { ready: false }),
      pod('c', '10.0.0.3', { ending: true }),
      done,
    ];
    const [slice] = endpointSlicesOf(service(spec), pods);
    assert.deepEqual(
      slice?.endpoints.map(({ addresses, conditions }) => [
        addresses[0],
        conditions?.ready,
        conditions?.serving,
        conditions?.terminating,
      ]),
      [
        ['10.0.0.1', true, true, false],
        ['10.0.0.2', false, false, false],
        ['10.0.0.3', false, true, true],
      ],
    );
  });

  test('a named port that differs between pods makes two slices', () => {
    const slices = endpointSlicesOf(service(spec), [pod('a', '10.0.0.1'), pod('b', '10.0.0.2', { port: 9090 })]);
    assert.deepEqual(
      slices.map((slice) => slice.ports?.[0]?.port),
      [8080, 9090],
    );
  });

  test('publishNotReadyAddresses counts everybody as ready', () => {
    const [slice] = endpointSlicesOf(service({ ...spec, publishNotReadyAddresses: true }), [
      pod('b', '10.0.0.2', { ready: false }),
    ]);
    assert.equal(slice?.endpoints[0]?.conditions?.ready, true);
  });

  test('a service without pods has an empty slice, one without a selector none', () => {
    assert.equal(endpointSlicesOf(service(spec), [])[0]?.endpoints.length, 0);
    assert.deepEqual(endpointSlicesOf(service({ ports }), [pod('a', '10.0.0.1')]), []);
  });
});

describe('rules of a node', () => {
  const spec: ServiceSpec = { selector, ports, ipFamilies: ['IPv4'], clusterIPs: ['10.96.0.9'] };

  function rules(more: Partial<ServiceSpec>, pods: readonly Pod[]): string[] {
    const one = service({ ...spec, ...more });
    const slices = endpointSlicesOf(one, pods);
    const input = { nodeName: 'n1', nodeAddresses: ['10.80.0.11'], services: [one], slices, localPods: pods };
    return serviceRules(input)
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => /dnat |reject|masquerade/.test(line));
  }

  test('one endpoint, several endpoints, none', () => {
    assert(rules({}, [pod('a', '10.0.0.1')]).includes('ip daddr 10.96.0.9 tcp dport 80 dnat ip to 10.0.0.1:8080'));
    const two = rules({}, [pod('a', '10.0.0.1'), pod('b', '10.0.0.2'), pod('c', '10.0.0.3', { ready: false })]);
    const map = '{ 0 : 10.0.0.1 . 8080, 1 : 10.0.0.2 . 8080 }';
    assert(
      two.includes(`ip daddr 10.96.0.9 tcp dport 80 dnat ip addr . port to numgen random mod 2 map ${map}`),
      two.join('\n'),
    );
    assert(rules({}, []).includes('ip daddr 10.96.0.9 tcp dport 80 reject with tcp reset'));
  });

  test('when all endpoints are ending, those that still serve are used', () => {
    const ending = rules({}, [pod('a', '10.0.0.1', { ending: true }), pod('b', '10.0.0.2', { ready: false })]);
    assert(ending.includes('ip daddr 10.96.0.9 tcp dport 80 dnat ip to 10.0.0.1:8080'));
  });

  test('a node port goes everywhere, or with policy Local to this node alone and with the client’s address', () => {
    const pods = [pod('a', '10.0.0.1', { node: 'n2' })];
    const open = { type: 'NodePort', ports: [{ ...ports[0]!, nodePort: 30080 }] };
    assert(rules(open, pods).includes('ip daddr 10.80.0.11 tcp dport 30080 dnat ip to 10.0.0.1:8080'));
    const local = rules({ ...open, externalTrafficPolicy: 'Local' }, pods);
    assert(local.includes('ip daddr 10.80.0.11 tcp dport 30080 reject with tcp reset'));
    assert(local.includes('ip daddr 10.96.0.9 tcp dport 80 dnat ip to 10.0.0.1:8080'));
  });
});

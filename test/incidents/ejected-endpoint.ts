// One of two pods of cart fails every request, and is taken out of rotation.
import type { LabClient } from '../../src/lab/control-client.ts';
import { applied, deleted, type Incident, told } from './incident.ts';
import { nodeSight } from './sight.ts';

const rule = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: cart, namespace: shop }
spec:
  host: cart
  trafficPolicy: { outlierDetection: { consecutive5xxErrors: 3, interval: 1s, baseEjectionTime: 30s } }
`;

async function scaled(lab: LabClient, replicas: number): Promise<void> {
  const [deployment] = (await lab.get('Deployment', 'cart', 'shop')) as { spec: object; metadata: object }[];
  const { metadata, spec } = deployment!;
  const object = { apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec: { ...spec, replicas } };
  await applied(lab, JSON.stringify(object));
}

async function cartPods(lab: LabClient): Promise<string[]> {
  const { pods } = await lab.status();
  return pods
    .filter(({ namespace, serviceAccount }) => namespace === 'shop' && serviceAccount === 'cart')
    .map(({ name }) => name);
}

export const ejectedEndpoint: Incident = {
  name: 'ejected-endpoint',
  breaks: 'one of two pods of cart fails, and gets no more requests',
  runbook: 'an-endpoint-was-ejected',
  async breakIt(lab) {
    await applied(lab, rule);
    await scaled(lab, 2);
    const [first] = (await cartPods(lab)).sort();
    await told(lab, first!, 'fail-one-in=1&fail-when=before');
  },
  async mend(lab) {
    for (const pod of await cartPods(lab)) await told(lab, pod, 'fail-one-in=0&fail-when=before');
    await deleted(lab, rule);
    await scaled(lab, 1);
  },
  command: ['status'],
  says: [
    /ejected by waypoint shop\/waypoint: shop\/cart-\S+ .* is ejected from shop\/cart .*: 3 answers of 500 to 599/,
  ],
  exitCode: 0,
  alert: { name: 'AmbientEndpointEjected', labels: { destination_service_name: 'cart' } },
  sights: [
    nodeSight(
      'shop/cart',
      /endpoint ejected|failing/,
      /Endpoint shop\/cart-\S+ is ejected since \S+: 3 answers of 500 to 599/,
    ),
  ],
  panels: ['Ambient / Waypoint, Ejected endpoints'],
};

// The Service of the canary gets a better name; the route still names the old one, for half of the requests.
import path from 'node:path';
import { applied, deleted, type Incident, waypointFolder } from './incident.ts';
import { nodeSight } from './sight.ts';

const service = (name: string): string => `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: shop }
spec:
  selector: { app: checkout-v2 }
  ports: [{ name: http, port: 80, targetPort: http, appProtocol: http }]
`;

const route = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: checkout, namespace: shop }
spec:
  parentRefs: [{ group: "", kind: Service, name: checkout }]
  rules:
    - backendRefs: [{ name: checkout-v1, port: 80, weight: 50 }, { name: checkout-v2, port: 80, weight: 50 }]
`;

export const renamedService: Incident = {
  name: 'renamed-service',
  breaks: 'the Service checkout-v2 is called checkout-canary now, but not in its route',
  runbook: 'a-service-was-renamed-under-a-route',
  async breakIt(lab) {
    await applied(lab, `${route}---${service('checkout-canary')}`);
    await deleted(lab, service('checkout-v2'));
  },
  async mend(lab) {
    await lab.apply([path.join(waypointFolder, 'checkout.yaml')]);
    await deleted(lab, service('checkout-canary'));
  },
  command: ['why', 'shop/workload/cart', 'svc/checkout.shop'],
  says: [
    /matched by HTTPRoute shop\/checkout, rule 0/,
    /50 % of the requests get 500: .*shop\/checkout-v2 is not there/,
  ],
  exitCode: 0,
  alert: {
    name: 'AmbientRouteLeadsNowhere',
    labels: { source_workload: 'cart', destination_service_name: 'checkout', response_flags: 'NC' },
  },
  sights: [nodeSight('shop/checkout', /route leads nowhere/, /Service shop\/checkout-v2 is not there \(500\)/)],
  panels: ['Ambient / Waypoint, Answered by the waypoint itself', 'Ambient / Mesh, Success by service'],
};

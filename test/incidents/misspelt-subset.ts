// A VirtualService of inventory names a subset that its DestinationRule does not have.
import { applied, deleted, type Incident } from './incident.ts';
import { nodeSight, problemSight } from './sight.ts';

const route = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: inventory, namespace: shop }
spec: { host: inventory, subsets: [{ name: v1, labels: { version: v1 } }] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: inventory, namespace: shop }
spec: { hosts: [inventory], http: [{ route: [{ destination: { host: inventory, subset: v11 } }] }] }
`;

export const misspeltSubset: Incident = {
  name: 'misspelt-subset',
  breaks: 'a route of inventory names the subset v11, and there is only v1',
  runbook: 'a-route-names-a-subset-that-does-not-exist',
  breakIt: (lab) => applied(lab, route),
  mend: (lab) => deleted(lab, route),
  command: ['analyze'],
  says: [/VirtualService shop\/inventory .*subset v11/],
  exitCode: 0,
  alert: {
    name: 'AmbientRouteLeadsNowhere',
    labels: { source_workload: 'checkout', destination_service_name: 'inventory', response_flags: 'NC' },
  },
  sights: [
    problemSight(
      'VirtualService shop/inventory',
      'AMB0508',
      /subset v11 is not in DestinationRule inventory; it has v1; did you mean v1\?/,
    ),
    nodeSight('shop/inventory', /route leads nowhere/, /subset v11/),
  ],
  panels: ['Ambient / Waypoint, Answered by the waypoint itself'],
};

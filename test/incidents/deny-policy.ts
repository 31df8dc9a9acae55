// Somebody freezes catalog for a migration, with a DENY that is wider than meant: web is refused too.
import { applied, deleted, type Incident } from './incident.ts';
import { edgeSight } from './sight.ts';

const policy = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: catalog-freeze, namespace: shop }
spec:
  targetRefs: [{ group: "", kind: Service, name: catalog }]
  action: DENY
  rules: [{ from: [{ source: { namespaces: [shop] } }] }]
`;

export const denyPolicy: Incident = {
  name: 'deny-policy',
  breaks: 'a DENY policy refuses web at catalog',
  runbook: 'a-policy-is-in-the-way',
  breakIt: (lab) => applied(lab, policy),
  mend: (lab) => deleted(lab, policy),
  command: ['why', 'shop/workload/web', 'svc/catalog.shop'],
  says: [/^denied: /, /AuthorizationPolicy shop\/catalog-freeze, rule 0/],
  exitCode: 1,
  alert: {
    name: 'AmbientPolicyRefuses',
    labels: { source_workload: 'web', destination_service_name: 'catalog', sign: 'requests' },
  },
  sights: [
    edgeSight(
      'shop/web',
      'shop/catalog',
      /refused by catalog-freeze/,
      /shop\/web is refused by AuthorizationPolicy shop\/catalog-freeze: \d+ in the last minute/,
    ),
  ],
  panels: ['Ambient / Waypoint, Answered by the waypoint itself'],
};

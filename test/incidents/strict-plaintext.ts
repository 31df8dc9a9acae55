// catalog takes mutual TLS alone from now on; legacy, which is outside of the mesh, called it in plaintext.
import { applied, deleted, type Incident } from './incident.ts';
import { edgeSight } from './sight.ts';

const strict = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: catalog, namespace: shop }
spec: { selector: { matchLabels: { app: catalog } }, mtls: { mode: STRICT } }
`;

export const strictPlaintext: Incident = {
  name: 'strict-plaintext',
  breaks: 'STRICT cuts off legacy, which calls catalog in plaintext',
  runbook: 'strict-refuses-a-caller-without-mtls',
  breakIt: (lab) => applied(lab, strict),
  mend: (lab) => deleted(lab, strict),
  command: ['why', 'legacy/workload/legacy', 'svc/catalog.shop'],
  says: [/^denied: /, /outside the mesh/, /plaintext is refused: .*PeerAuthentication shop\/catalog/],
  exitCode: 1,
  alert: {
    name: 'AmbientPlaintextRefused',
    labels: { source_workload: 'legacy', destination_workload: 'catalog' },
  },
  sights: [
    edgeSight(
      'legacy/legacy',
      'shop/catalog',
      /refused by STRICT catalog/,
      /Refused by PeerAuthentication shop\/catalog: it asks for mutual TLS, and legacy\/legacy calls in plaintext/,
    ),
  ],
  panels: ['Ambient / Mesh, Refused or failed, by reason', 'Ambient / Workload, Refused or failed'],
};

// Nothing passes between node-2 and the controller's discovery port: a firewall, a NetworkPolicy, a broken route.
import type { Incident } from './incident.ts';
import { proxySight } from './sight.ts';

const node = 'node-2';

export const noConfiguration: Incident = {
  name: 'no-configuration',
  breaks: 'the node proxy of node-2 cannot reach the controller any more',
  runbook: 'a-proxy-stopped-receiving-configuration',
  breakIt: (lab) => lab.fault({ type: 'partition', node, peer: 'controller' }),
  mend: (lab) => lab.fault({ type: 'heal', part: { kind: 'controller' } }),
  command: ['status'],
  says: [/not connected, for/, /node node-2: its proxy runs, and does not receive/],
  exitCode: 1,
  alert: { name: 'AmbientProxyOutOfStep', labels: { node: 'node-2', component: 'ambient-node', sign: 'disconnected' } },
  // What cannot reach the controller renews nothing either.
  others: ['AmbientCertificateExpires'],
  sights: [
    proxySight(
      'node/node-2',
      /Not connected since \S+, and it carries what comes to its pods/,
      /The proxy of node-2 cannot reach the controller for \d+ s/,
    ),
  ],
  panels: ['Ambient / Node proxy, Follows the controller', 'Ambient / Control plane and certificates, Proxies'],
};

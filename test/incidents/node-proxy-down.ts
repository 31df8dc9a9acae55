// The node proxy of node-2 is killed, and nothing starts it again.
import type { Incident } from './incident.ts';
import { nodeSight, proxySight } from './sight.ts';

const part = { kind: 'node', name: 'node-2' } as const;

export const nodeProxyDown: Incident = {
  name: 'node-proxy-down',
  breaks: 'the node proxy of node-2 is killed, and does not come back',
  runbook: 'a-node-proxy-is-down',
  breakIt: (lab) => lab.fault({ type: 'down', part }),
  mend: (lab) => lab.fault({ type: 'heal', node: part.name }),
  command: ['status'],
  says: [/not connected, for/, /node node-2: its proxy does not answer/],
  exitCode: 1,
  alert: { name: 'AmbientNodeProxyDown', labels: { node: 'node-2', sign: 'silent' } },
  // Whoever calls its pods has nowhere to go, and what does not connect is tried again.
  others: ['AmbientRouteLeadsNowhere', 'AmbientRetriesHeldBack', 'AmbientEndpointEjected'],
  sights: [
    proxySight(
      'node/node-2',
      /Not connected since \S+, and nothing reached its pods since/,
      /The proxy of node-2 is down for \d+ s/,
    ),
    nodeSight('shop/catalog', /proxy down/, /is on node-2: its proxy is not connected since/),
  ],
  panels: ['Ambient / Node proxy, Ready', 'Ambient / Mesh, Node proxies that answer'],
};

// The link of node-2 is slow: whatever crosses it is late, what stays on a node is not.
import type { Incident } from './incident.ts';
import { edgeSight } from './sight.ts';

const node = 'node-2';

export const slowWire: Incident = {
  name: 'slow-wire',
  breaks: 'every packet to and from node-2 is 60 ms late',
  runbook: 'the-wire-is-slow',
  breakIt: (lab) => lab.fault({ type: 'delay', node, delayMs: 60 }),
  mend: (lab) => lab.fault({ type: 'delay', node, delayMs: 0 }),
  command: ['tap', '-n', 'shop', '--protocol', 'http', '--slower-than', '100ms'],
  says: [/\(wire 1\d\dms\)/],
  exitCode: 0,
  alert: { name: 'AmbientWireSlow', labels: { source_workload: 'web', destination_workload: 'catalog' } },
  sights: [edgeSight('shop/checkout', 'shop/inventory', null, /The wire takes \d+ms of \d+ms/)],
  panels: ['Ambient / Waypoint, Slow ways, p99', 'Ambient / Waypoint, Where the time goes, p99'],
};

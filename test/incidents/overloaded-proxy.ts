// The node proxy of node-2 gets a tenth of the processor time that it wants, as on a node where something else has it.
import type { Incident } from './incident.ts';
import { problemSight, proxySight } from './sight.ts';

const part = { kind: 'node', name: 'node-2' } as const;

export const overloadedProxy: Incident = {
  name: 'overloaded-proxy',
  breaks: 'the node proxy of node-2 runs only a tenth of the time',
  runbook: 'a-node-proxy-is-overloaded',
  breakIt: (lab) => lab.fault({ type: 'slow', part, ratio: 0.1 }),
  mend: (lab) => lab.fault({ type: 'cont', part }),
  command: ['check'],
  says: [/no proxy is overloaded/, /node-2: events wait \d+ ms/],
  exitCode: 1,
  alert: { name: 'AmbientProxyOverloaded', labels: { node: 'node-2', component: 'ambient-node', sign: 'late' } },
  others: ['AmbientWireSlow'],
  sights: [
    proxySight(
      'node/node-2',
      /The proxy of node-2 is overloaded: events wait \d+ ms \(p99\)/,
      /The proxy of node-2 is overloaded/,
    ),
    problemSight('load: no proxy is overloaded', null, /node node-2: events wait \d+ ms \(p99\)/),
  ],
  panels: ['Ambient / Node proxy, Event loop delay, p99'],
};

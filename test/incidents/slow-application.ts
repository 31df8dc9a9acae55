// catalog takes more than a second for every answer. Nothing of the mesh is slow.
import { type Incident, told } from './incident.ts';
import { edgeSight } from './sight.ts';

export const slowApplication: Incident = {
  name: 'slow-application',
  breaks: 'catalog takes 1.5 s for every answer, and only catalog',
  runbook: 'an-application-is-slow',
  breakIt: (lab) => told(lab, 'deploy/catalog', 'delay=1500ms'),
  mend: (lab) => told(lab, 'deploy/catalog', 'delay=0ms'),
  command: ['why', 'shop/workload/web', 'svc/catalog.shop'],
  says: [/it is slow, and that is the application itself: 1\.\d+s of/, /look into shop\/catalog/],
  exitCode: 0,
  alert: {
    name: 'AmbientApplicationSlow',
    labels: { destination_workload: 'catalog', destination_workload_namespace: 'shop' },
  },
  sights: [edgeSight('shop/web', 'shop/catalog', /slow/, /The application of shop\/catalog takes 1\.\d+s of 1\.\d+s/)],
  panels: ['Ambient / Waypoint, Slow applications, p99', 'Ambient / Waypoint, Where the time goes, p99'],
};

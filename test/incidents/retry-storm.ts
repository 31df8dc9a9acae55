// payments fails every request, and each is worth three more tries: without a budget that would be four times the load
// on what is down.
import { type Incident, told } from './incident.ts';
import { edgeSight, nodeSight } from './sight.ts';

export const retryStorm: Incident = {
  name: 'retry-storm',
  breaks: 'payments answers every request with 503; the budget holds the retries back',
  runbook: 'a-retry-storm-was-held-back',
  breakIt: (lab) => told(lab, 'deploy/payments', 'fail-one-in=1&fail-when=before'),
  mend: (lab) => told(lab, 'deploy/payments', 'fail-one-in=0&fail-when=before'),
  command: ['status'],
  says: [/refusing by waypoint shop\/waypoint, for shop\/payments:80: the retry budget .* is used up/],
  exitCode: 0,
  alert: { name: 'AmbientRetriesHeldBack', labels: { destination_service_name: 'payments' } },
  sights: [
    edgeSight('shop/checkout', 'shop/payments', /retries held back|failing/, /retry budget/),
    nodeSight('shop/payments', null, /the retry budget .* is used up: no further tries: \d+ refused since/),
  ],
  panels: ['Ambient / Waypoint, Retries'],
};

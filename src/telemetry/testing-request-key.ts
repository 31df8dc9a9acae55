// For tests of counters: what one row of requests is about.
import type { RequestKey } from './request-counters.ts';

const end = { workload: 'web', namespace: 'shop', identity: 'spiffe://cluster.local/ns/shop/sa/web' };
/** Web calls cart, as a waypoint sees it. */
export const requestKey: RequestKey = {
  reporter: 'waypoint',
  source: end,
  destination: { ...end, workload: 'cart' },
  service: 'cart.shop.svc.cluster.local',
  serviceName: 'cart',
  serviceNamespace: 'shop',
  protocol: 'http',
  code: 200,
  grpcStatus: -1,
  flag: '-',
  mutualTls: true,
};

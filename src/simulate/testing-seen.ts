// For tests: flows of the shop sample, as its proxies would have told them.
import type { FlowView, RequestRecord } from '../telemetry/access-record.ts';
import { requestFlow, tunnelFlow } from '../telemetry/testing-flows.ts';

interface Said {
  readonly from: string;
  readonly to: string;
  readonly port?: number;
  readonly flag?: FlowView['flag'];
  readonly weight?: number;
}

/** A connection between pods `NAMESPACE/OWNER`, as the destination's proxy tells it. */
export function connectionSeen({ from, to, port = 8080, flag = '-', weight = 1 }: Said): FlowView {
  const source = endOf(from, 40_000);
  const transport = source.identity === null ? 'plaintext' : 'mtls';
  const destination = { ...endOf(to, port), service: null };
  return { ...tunnelFlow({ source, destination, transport, flag }), weight };
}

/** A request at a waypoint, that it has sent to a pod of the owner that bears the name of the service. */
export function requestSeen(said: Said & Partial<Pick<RequestRecord, 'method' | 'path' | 'route'>>): FlowView {
  const { from, to, port = 8080, flag = '-', weight = 1, method = 'GET', path = '/', route = null } = said;
  const [namespace = '', name = ''] = to.split('/');
  const destination = { ...endOf(to, port), service: `${name}.${namespace}.svc.cluster.local` };
  const status = flag === 'DENY' ? 403 : 200;
  const request = { source: endOf(from, 40_000), destination, flag, method, path, route, status, authority: name };
  return { ...requestFlow(request), weight };
}

function endOf(title: string, port: number) {
  const [namespace = '', owner = ''] = title.split('/');
  const identity = namespace === 'legacy' ? null : `spiffe://cluster.local/ns/${namespace}/sa/${owner}`;
  return { workload: `${owner}-5d9c7b-x2x4z`, namespace, identity, address: `10.244.1.9:${port}` };
}

// Requests that run, as dumps show them: those that have run the longest, up to a limit.
import { formatHostPort } from '../../base/ip.ts';
import type { ConnectionView } from '../../model/views.ts';
import type { Exchange } from './exchange.ts';
import type { LiveRequests } from './live-requests.ts';
import { destinationOf, routeName, sourceOf } from './record.ts';
import { splitTarget } from './rewrite.ts';

/** Per thread; long streams are what a dump is asked about, and there may be very many requests. */
const requestViewsMax = 1_000;

/** The views of the requests that run, the oldest first. */
export function requestViews(live: LiveRequests, thread: number, max = requestViewsMax): ConnectionView[] {
  return [...live]
    .slice(-max)
    .reverse()
    .map((exchange) => viewOf(exchange, thread));
}

function viewOf(exchange: Exchange, thread: number): ConnectionView {
  const { client, head, rule, endpoint, request } = exchange;
  return {
    id: exchange.changes?.requestId ?? `${formatHostPort(client.address, client.port)}-${request.startedAtMs}`,
    direction: 'inbound',
    startedAt: new Date(performance.timeOrigin + request.startedAtMs).toISOString(),
    source: sourceOf(client),
    destination: destinationOf(client, endpoint),
    transport: client.identity === null ? 'plaintext' : 'mtls',
    bytesSent: exchange.bytesReceived,
    bytesReceived: exchange.bytesSent,
    thread,
    request: {
      method: head.method,
      authority: head.authority,
      path: splitTarget(exchange.target)[0],
      protocol: head.grpc ? 'grpc' : head.protocol,
      upgrade: head.upgrade,
      route: rule === null || client.pod !== undefined ? null : routeName(rule),
      attempts: exchange.attempts,
      status: exchange.status === 0 ? null : exchange.status,
    },
  };
}

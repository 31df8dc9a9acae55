// A flow as a person reads it, on one line, and the words that it is made of.
import type { FlowView, RequestRecord, RequestSegments } from '../telemetry/access-record.ts';
import { type FlowVerdict, verdictOf } from '../telemetry/flow-verdict.ts';
import { authorsNameOf } from './converted-policies.ts';

/** Colours a piece of text by what it means. */
export type FlowPaint = (text: string, tone: FlowTone) => string;
export type FlowTone = 'good' | 'bad' | 'warn' | 'dim';

export const verdictTones: Readonly<Record<FlowVerdict, FlowTone>> = {
  forwarded: 'good',
  refused: 'bad',
  failed: 'warn',
};
/** The parts of the time of a request, in the order in which it meets them. */
export const segmentNames = {
  clientProxy: "client's proxy",
  wire: 'wire',
  waypoint: 'waypoint',
  destinationProxy: "destination's proxy",
  application: 'application',
} as const satisfies Record<keyof RequestSegments, string>;

/**
 * `12:34:56.789 [node-2] shop/web-1 -> shop/cart-1:80 (cart.shop) GET /items 200 FORWARDED mtls 12ms`, with the flag,
 * the policy and the error where there is one.
 */
export function flowLine(flow: FlowView, paint: FlowPaint): string {
  const verdict = verdictOf(flow);
  const words = [
    flow.time.slice(11, 23),
    paint(`[${reporterText(flow)}]`, 'dim'),
    `${partyText(flow.source, false)} -> ${partyText(flow.destination, true)}${serviceText(flow)}`,
    whatText(flow),
    paint(verdict.toUpperCase(), verdictTones[verdict]),
    flow.transport,
    `${durationText(flow.durationMs)}${slowestText(flow)}`,
    detailText(flow),
    flow.weight > 1 ? paint(`(one of ${flow.weight})`, 'dim') : '',
  ];
  return words.filter((word) => word !== '').join(' ');
}

/** `12ms`, `1.25s`. */
export function durationText(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)}s`;
  return ms < 10 ? `${Math.round(ms * 10) / 10}ms` : `${Math.round(ms)}ms`;
}

/** Who tells: `node-1`, `waypoint shop/waypoint`. */
export function reporterText({ reporter }: FlowView): string {
  return reporter.kind === 'node' ? reporter.name : `waypoint ${reporter.name}`;
}

/** `NAMESPACE/POD`, with the port where that says something; the address of whom nobody knows. */
export function partyText(peer: FlowView['source'], withPort: boolean): string {
  const at = peer.address.lastIndexOf(':');
  if (peer.workload === null) return withPort ? peer.address : peer.address.slice(0, at);
  return `${peer.namespace ?? ''}/${peer.workload}${withPort ? peer.address.slice(at) : ''}`;
}

/** ` (cart.shop)`; '' where no service was called. */
export function serviceText({ destination: { service } }: FlowView): string {
  if (service === null) return '';
  return ` (${service
    .slice(service.indexOf('/') + 1)
    .split('.')
    .slice(0, 2)
    .join('.')})`;
}

/** `TCP`, or method, path and answer of a request. */
export function whatText(flow: FlowView): string {
  const request = requestOf(flow);
  if (request === null) return 'TCP';
  const grpc = request.grpcStatus === null ? '' : `/grpc ${request.grpcStatus}`;
  const tries = request.attempts > 1 ? ` (${request.attempts} tries)` : '';
  return `${request.method ?? '?'} ${request.path ?? ''} ${request.status ?? '-'}${grpc}${tries}`;
}

/** Flag, policy as its author knows it, and error, each where it says something. */
export function detailText(flow: FlowView): string {
  const { flag, decidedBy, error } = flow;
  const words = [
    flag === '-' ? '' : flag,
    decidedBy === null || verdictOf(flow) === 'forwarded' ? '' : `by ${authorsNameOf(decidedBy)}`,
  ];
  const isSaid = error === null || error === `denied by ${decidedBy}`;
  if (!isSaid) words.push(`(${error})`);
  return words.filter(Boolean).join(' ');
}

/** The segment that took most of a request, when it took most of all. */
function slowestText(flow: FlowView): string {
  const request = requestOf(flow);
  if (request === null) return '';
  const [name, ms] = segmentsOf(request).reduce((most, one) => (one[1] > most[1] ? one : most), ['', 0] as [
    string,
    number,
  ]);
  return ms > request.durationMs / 2 ? ` (${name} ${durationText(ms)})` : '';
}

/** The segments that somebody could tell, with their names. */
export function segmentsOf({ segmentsMs }: RequestRecord): [string, number][] {
  return Object.entries(segmentNames).flatMap(([key, name]): [string, number][] => {
    const ms = segmentsMs[key as keyof RequestSegments];
    return ms === null ? [] : [[name, ms]];
  });
}

/** The flow as a request; null for a connection. */
export function requestOf(flow: FlowView): (RequestRecord & FlowView) | null {
  return flow.kind === 'request' ? (flow as RequestRecord & FlowView) : null;
}

/** The Deployment of a pod's name: two words of letters and digits at its end are its ReplicaSet's and its own. */
export function deploymentOf(pod: string): string {
  return pod.replace(/-[a-z0-9]{8,10}-[a-z0-9]{5}$/, '');
}

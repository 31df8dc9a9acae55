// A flow as a person reads it: on one line, as a dictionary, or as rows of a table.
import type { FlowView, RequestRecord, RequestSegments } from '../telemetry/access-record.ts';
import { type FlowVerdict, verdictOf } from '../telemetry/flow-verdict.ts';
import type { Paint, Tone } from './io.ts';
import { bytesText, type Column } from './table.ts';

const verdictTones: Readonly<Record<FlowVerdict, Tone>> = { forwarded: 'good', refused: 'bad', failed: 'warn' };
const segmentNames = {
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
export function flowLine(flow: FlowView, paint: Paint): string {
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

/** Everything about a flow, a line each, as hubble's `dict`. */
export function flowDict(flow: FlowView): string {
  const rows: readonly (readonly [string, string])[] = [
    ['time', flow.time],
    ['seen by', reporterText(flow)],
    ['from', `${partyText(flow.source, false)} ${flow.source.address}`],
    ['as', flow.source.identity ?? '-'],
    ['to', `${partyText(flow.destination, false)} ${flow.destination.address}`],
    ['service', flow.destination.service ?? '-'],
    ['what', whatText(flow)],
    ['verdict', [verdictOf(flow), detailText(flow)].filter(Boolean).join(' ')],
    ['transport', flow.transport],
    ['took', `${durationText(flow.durationMs)}${segmentsText(flow)}`],
    ['bytes', `${bytesText(flow.bytesSent)} up, ${bytesText(flow.bytesReceived)} down`],
  ];
  return rows.map(([name, value]) => `${name.padStart(9)}: ${value}\n`).join('');
}

/** The columns of `-o table`. */
export const flowColumns: readonly Column<FlowView>[] = [
  { header: 'TIME', value: (flow) => flow.time.slice(11, 23) },
  { header: 'SEEN BY', value: reporterText },
  { header: 'FROM', value: (flow) => partyText(flow.source, false) },
  { header: 'TO', value: (flow) => `${partyText(flow.destination, true)}${serviceText(flow)}` },
  { header: 'WHAT', value: whatText },
  { header: 'VERDICT', value: verdictOf, tone: (flow) => verdictTones[verdictOf(flow)] },
  { header: 'TRANSPORT', value: (flow) => flow.transport },
  { header: 'TOOK', value: (flow) => durationText(flow.durationMs), right: true },
  { header: 'DETAIL', value: (flow) => detailText(flow) || null },
];

/** `12ms`, `1.25s`. */
export function durationText(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)}s`;
  return ms < 10 ? `${Math.round(ms * 10) / 10}ms` : `${Math.round(ms)}ms`;
}

function reporterText({ reporter }: FlowView): string {
  return reporter.kind === 'node' ? reporter.name : `waypoint ${reporter.name}`;
}

function partyText(peer: FlowView['source'], withPort: boolean): string {
  const at = peer.address.lastIndexOf(':');
  if (peer.workload === null) return withPort ? peer.address : peer.address.slice(0, at);
  return `${peer.namespace ?? ''}/${peer.workload}${withPort ? peer.address.slice(at) : ''}`;
}

function serviceText({ destination: { service } }: FlowView): string {
  if (service === null) return '';
  return ` (${service
    .slice(service.indexOf('/') + 1)
    .split('.')
    .slice(0, 2)
    .join('.')})`;
}

function whatText(flow: FlowView): string {
  const request = requestOf(flow);
  if (request === null) return 'TCP';
  const grpc = request.grpcStatus === null ? '' : `/grpc ${request.grpcStatus}`;
  const tries = request.attempts > 1 ? ` (${request.attempts} tries)` : '';
  return `${request.method ?? '?'} ${request.path ?? ''} ${request.status ?? '-'}${grpc}${tries}`;
}

/** Flag, policy, route and error, each where it says something. */
function detailText(flow: FlowView): string {
  const { flag, decidedBy, error } = flow;
  const words = [
    flag === '-' ? '' : flag,
    decidedBy === null || verdictOf(flow) === 'forwarded' ? '' : `by ${decidedBy}`,
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

function segmentsText(flow: FlowView): string {
  const request = requestOf(flow);
  if (request === null) return '';
  return `: ${segmentsOf(request)
    .map(([name, ms]) => `${name} ${durationText(ms)}`)
    .join(', ')}`;
}

function segmentsOf({ segmentsMs }: RequestRecord): [string, number][] {
  return Object.entries(segmentNames).flatMap(([key, name]): [string, number][] => {
    const ms = segmentsMs[key as keyof RequestSegments];
    return ms === null ? [] : [[name, ms]];
  });
}

function requestOf(flow: FlowView): (RequestRecord & FlowView) | null {
  return flow.kind === 'request' ? (flow as RequestRecord & FlowView) : null;
}

// A flow as a person reads it who wants all of it: as a dictionary, or as rows of a table.

import {
  detailText,
  durationText,
  partyText,
  reporterText,
  requestOf,
  segmentsOf,
  serviceText,
  verdictTones,
  whatText,
} from '../model/flow-line.ts';
import type { FlowView } from '../telemetry/access-record.ts';
import { verdictOf } from '../telemetry/flow-verdict.ts';
import { bytesText, type Column } from './table.ts';

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

function segmentsText(flow: FlowView): string {
  const request = requestOf(flow);
  if (request === null) return '';
  return `: ${segmentsOf(request)
    .map(([name, ms]) => `${name} ${durationText(ms)}`)
    .join(', ')}`;
}

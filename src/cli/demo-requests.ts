// What the waypoint of the demo says about requests: from its access log, one row for each caller, service and workload
// that answered; and what the demo expects of these rows.

import { segmentNames } from '../model/flow-line.ts';
import type { RequestRecord, RequestSegments } from '../telemetry/access-record.ts';
import { type Column, type TableView, table } from './table.ts';

/** Requests from one workload to one service, as one workload answered them. */
export interface RequestRow {
  readonly from: string;
  readonly service: string;
  /** Who answered; '' where the waypoint did. */
  readonly by: string;
  readonly requests: number;
  /** Of all requests from there to this service, 0 to 1. */
  readonly share: number;
  readonly ok: number;
  /** Refused by policy. */
  readonly refused: number;
  /** Requests that took more than one try. */
  readonly retried: number;
  readonly medianMs: number;
  /** Median of each part of the way that is known, in milliseconds. */
  readonly segmentsMs: Readonly<Record<string, number>>;
  /** The part that takes longest. */
  readonly slowest: string;
}

/** Records kept for each row: the latest. */
const keptMax = 200;
/** What is behind the waypoint, where its parts are not known. */
const behind = 'upstream';

interface Entry {
  readonly from: string;
  readonly service: string;
  readonly by: string;
  requests: number;
  ok: number;
  refused: number;
  retried: number;
  readonly latest: RequestRecord[];
}

/** Gathers records of requests. */
export class RequestMeter {
  #entries = new Map<string, Entry>();

  add(record: RequestRecord): void {
    const from = deploymentOf(record.source.workload ?? 'unknown');
    const service = (record.destination.service ?? '').split('.')[0] ?? '';
    const by = deploymentOf(record.destination.workload ?? '');
    const key = `${from} ${service} ${by}`;
    const entry = this.#entries.get(key) ?? {
      from,
      service,
      by,
      requests: 0,
      ok: 0,
      refused: 0,
      retried: 0,
      latest: [],
    };
    this.#entries.set(key, entry);
    entry.requests++;
    if (record.status !== null && record.status >= 200 && record.status < 400) entry.ok++;
    if (record.flag === 'DENY') entry.refused++;
    if (record.attempts > 1) entry.retried++;
    entry.latest.push(record);
    if (entry.latest.length > keptMax) entry.latest.shift();
  }

  /** Forgets what came before. */
  reset(): void {
    this.#entries = new Map();
  }

  /** Sorted by name. */
  rows(): RequestRow[] {
    const entries = [...this.#entries.values()];
    const totals = new Map<string, number>();
    for (const { from, service, requests } of entries) {
      totals.set(`${from} ${service}`, (totals.get(`${from} ${service}`) ?? 0) + requests);
    }
    return entries
      .map((entry) => rowOf(entry, totals.get(`${entry.from} ${entry.service}`)!))
      .toSorted((a, b) => (`${a.from} ${a.service} ${a.by}` < `${b.from} ${b.service} ${b.by}` ? -1 : 1));
  }
}

/** `checkout-v2` of its pod `checkout-v2-8q24fzv7rw-m9q5k`. */
function deploymentOf(pod: string): string {
  return pod.replace(/-[a-z0-9]{8,10}-[a-z0-9]{5}$/, '');
}

function rowOf({ latest, ...entry }: Entry, total: number): RequestRow {
  const segmentsMs: Record<string, number> = {};
  for (const [field, name] of Object.entries(segmentNames)) {
    const known = latest
      .map(({ segmentsMs: each }) => each[field as keyof RequestSegments])
      .filter((ms) => ms !== null);
    if (known.length > 0) segmentsMs[name] = median(known);
  }
  const medianMs = median(latest.map(({ durationMs }) => durationMs));
  if (segmentsMs.application === undefined) {
    segmentsMs[behind] = median(latest.map(({ durationMs, segmentsMs: each }) => durationMs - (each.waypoint ?? 0)));
  }
  const slowest = Object.entries(segmentsMs).toSorted(([, a], [, b]) => b - a)[0]?.[0] ?? '';
  return { ...entry, share: entry.requests / total, medianMs, segmentsMs, slowest };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}

/** FROM, TO, ANSWERED BY, REQUESTS, SHARE, OK, REFUSED, RETRIED, MS, WAYPOINT, SLOWEST. */
export function requestTable(rows: readonly RequestRow[], view: TableView): string {
  const columns: Column<RequestRow>[] = [
    { header: 'FROM', value: ({ from }) => from },
    { header: 'TO', value: ({ service }) => service },
    { header: 'ANSWERED BY', value: ({ by }) => by || 'waypoint' },
    { header: 'REQUESTS', value: ({ requests }) => requests },
    { header: 'SHARE', value: ({ share }) => `${Math.round(share * 100)}%`, right: true },
    { header: 'OK', value: okText, right: true, tone: (row) => (isGreen(row) ? 'good' : 'bad') },
    { header: 'REFUSED', value: ({ refused }) => refused || null, right: true },
    { header: 'RETRIED', value: ({ retried }) => retried || null, right: true },
    { header: 'MS', value: ({ medianMs }) => medianMs.toFixed(1), right: true },
    { header: 'WAYPOINT', value: ({ segmentsMs }) => segmentsMs.waypoint?.toFixed(1), right: true },
    {
      header: 'SLOWEST',
      value: (row) => (row.by === '' ? null : `${row.slowest} ${row.segmentsMs[row.slowest]?.toFixed(1)}`),
    },
  ];
  return table(columns, rows, view, 'no requests yet');
}

/** Every request was answered well, or refused as policy has it. */
export function isGreen({ ok, refused, requests }: RequestRow): boolean {
  return ok + refused === requests;
}

function okText(row: RequestRow): string {
  return `${Math.floor((row.ok / row.requests) * 100)}%`;
}

/** Books of the payment service, as far as the demo looks into them. */
export interface Books {
  readonly charges: number;
  readonly failedBefore: number;
  readonly failedAfter: number;
  readonly replayed: number;
  readonly chargedTwice: readonly string[];
}

/** One thing that the demo demands: what, and what was seen. */
export interface Demand {
  readonly what: string;
  readonly met: boolean;
  readonly seen: string;
}

const canaryRequestsMin = 100;
const retriedMin = 3;
const slowRequestsMin = 10;

/** One request in ten goes to v2, within what chance explains. */
export function canaryDemand(rows: readonly RequestRow[]): Demand {
  const to = rows.filter(({ service }) => service === 'checkout');
  const total = to.reduce((sum, { requests }) => sum + requests, 0);
  const canary = to.filter(({ by }) => by === 'checkout-v2').reduce((sum, { requests }) => sum + requests, 0);
  // Five standard deviations of a share of 10 %.
  const slack = total === 0 ? 1 : 5 * Math.sqrt(0.09 / total);
  const met = total >= canaryRequestsMin && canary > 0 && Math.abs(canary / total - 0.1) < slack;
  return { what: 'checkout v2 gets one request in ten', met, seen: `${canary} of ${total} requests` };
}

/** Payments fails one in five, before and after it has charged; nobody notices, and no order is charged twice. */
export function paymentsDemand(rows: readonly RequestRow[], books: Books): Demand {
  const isHurt = rows.some((row) => !isGreen(row));
  const retried = rows.filter(({ service }) => service === 'payments').reduce((sum, row) => sum + row.retried, 0);
  const { failedBefore, failedAfter, replayed, chargedTwice, charges } = books;
  const failed = failedBefore >= retriedMin && failedAfter >= retriedMin && replayed > 0;
  return {
    what: 'payments fails one request in five, the shop stays green, and no order is charged twice',
    met: !isHurt && retried >= retriedMin && failed && charges > 0 && chargedTwice.length === 0,
    seen:
      `${charges} orders charged, ${chargedTwice.length || 'none'} of them twice; payments failed ${failedBefore} ` +
      `times before it had charged and ${failedAfter} times after that; the waypoint sent ${retried} requests again, ` +
      `and ${isHurt ? 'some failed all the same' : 'no caller saw a failure'}`,
  };
}

/** Inventory is slow by `delayMs`, and the table blames it for that, and no other part of the way. */
export function slowDemand(rows: readonly RequestRow[], delayMs: number): Demand {
  const found = rows.filter(({ service, by }) => service === 'inventory' && by !== '');
  const isBlamed = ({ slowest, segmentsMs, medianMs }: RequestRow): boolean => {
    const own = segmentsMs.application === undefined ? behind : segmentNames.application;
    return slowest === own && segmentsMs[own]! > delayMs * 0.9 && medianMs - segmentsMs[own]! < delayMs / 2;
  };
  const requests = found.reduce((sum, each) => sum + each.requests, 0);
  const seen = found.map(({ slowest, segmentsMs }) => `${slowest}, ${segmentsMs[slowest]?.toFixed(1)} ms`).join('; ');
  return {
    what: `inventory is slow by ${delayMs} ms, and the table says where the time went`,
    met: requests >= slowRequestsMin && found.every(isBlamed),
    seen: seen || 'nothing',
  };
}

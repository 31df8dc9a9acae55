// Which trace a request belongs to, as its headers say it: W3C Trace Context (`traceparent`, `tracestate`), else B3 in
// one header or in several. And the other way: what the endpoint is told. What cannot be read is as if it were absent.
import { parseTraceparent } from '../../tunnel/traceparent.ts';
import type { Headers } from '../message.ts';

/** The headers in which the parent came; the endpoint is told in the same. */
export interface Carriers {
  readonly w3c: boolean;
  readonly b3: boolean;
  readonly b3Multi: boolean;
}

export interface TraceContext {
  /** 32 lower-case hex digits; '' where no parent is named. */
  readonly traceId: string;
  readonly parentId: string;
  /** What the parent has decided; null where it leaves that to us. */
  readonly sampled: boolean | null;
}

const traceparentLength = 55;
const hex = /^[0-9a-f]+$/;
const zeros = /^0+$/;
/** B3 in one header: `DECISION`, or `TRACE-SPAN[-DECISION[-PARENT]]`. */
const b3Single = /^([0-9a-f]{32}|[0-9a-f]{16})-([0-9a-f]{16})(?:-([01d]))?(?:-[0-9a-f]{16})?$/i;
const unknown: TraceContext = { traceId: '', parentId: '', sampled: null };
/** W3C Trace Context §3.3: list-members at most, and the length that is always to be passed on. */
const stateMembersMax = 32;
const stateLengthMax = 512;
const stateMember = /^[a-z0-9][-_*/a-z0-9@]{0,255}=[ -+\--<>-~]{0,255}[!-+\--<>-~]$/;

/** What the headers say; `traceparent` counts before B3. */
export function readTraceContext(headers: Headers): TraceContext {
  const traceparent = headers.get('traceparent');
  const parent = traceparent === null ? null : parseW3c(traceparent);
  if (parent !== null) return parent;
  const single = headers.get('b3');
  if (single !== null) return parseB3(single) ?? unknown;
  return headers.hasPrefix('x-b3-') ? readB3Multi(headers) : unknown;
}

/** The same for what came by no other than these names. */
export function carriersOf(headers: Headers): Carriers {
  const b3 = headers.has('b3');
  const b3Multi = headers.hasPrefix('x-b3-');
  return { w3c: headers.has('traceparent') || !(b3 || b3Multi), b3, b3Multi };
}

/** The value of `tracestate` where it may be passed on; '' for none. */
export function traceStateOf(headers: Headers): string {
  const text = headers.get('tracestate');
  if (text === null || text.length > stateLengthMax) return '';
  const members = text.split(',').map((one) => one.trim());
  const isFit = members.length <= stateMembersMax && members.every((one) => one === '' || stateMember.test(one));
  return isFit ? members.filter((one) => one !== '').join(',') : '';
}

/** A higher version is read as far as this one goes (W3C Trace Context §3.2.2). */
function parseW3c(text: string): TraceContext | null {
  const isNewer = !text.startsWith('00-') && !text.startsWith('ff') && hex.test(text.slice(0, 2));
  const isWhole = text.length === traceparentLength || text.charAt(traceparentLength) === '-';
  const known = isNewer && isWhole ? `00${text.slice(2, traceparentLength)}` : text;
  return parseTraceparent(known);
}

function parseB3(text: string): TraceContext | null {
  const decided = decisionOf(text);
  if (decided !== null) return { ...unknown, sampled: decided };
  const [, trace = '', parentId = '', decision = ''] = b3Single.exec(text) ?? [];
  return contextOf(trace, parentId, decision === '' ? null : decisionOf(decision));
}

function readB3Multi(headers: Headers): TraceContext {
  const isDebug = headers.get('x-b3-flags') === '1';
  const sampled = isDebug || decisionOf(headers.get('x-b3-sampled') ?? '');
  const trace = headers.get('x-b3-traceid') ?? '';
  return contextOf(trace, headers.get('x-b3-spanid') ?? '', sampled) ?? { ...unknown, sampled };
}

function contextOf(trace: string, span: string, sampled: boolean | null): TraceContext | null {
  const traceId = trace.toLowerCase().padStart(32, '0');
  const parentId = span.toLowerCase();
  const isId = (trace.length === 16 || trace.length === 32) && hex.test(traceId) && !zeros.test(traceId);
  const isSpan = parentId.length === 16 && hex.test(parentId) && !zeros.test(parentId);
  return isId && isSpan ? { traceId, parentId, sampled } : null;
}

function decisionOf(text: string): boolean | null {
  if (text === '1' || text === 'd' || text === 'true') return true;
  return text === '0' || text === 'false' ? false : null;
}

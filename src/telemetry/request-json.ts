// The JSON line of a request, put together from parts: who speaks with whom is the same object for many requests, and
// its text is kept. `JSON.stringify` of the whole record says the same and takes twice as long.
import type { RequestRecord, RequestSegments } from './access-record.ts';

/** Texts of sources and destinations, for as long as these are in use. */
const texts = new WeakMap<object, string>();
/** Nothing in it that JSON escapes. */
const plain = /^[ !#-[\]-~]*$/;
/** What stands behind the point, for each number of thousandths: '', '.001', …, '.999'. */
const thousandths = Array.from({ length: 1000 }, (_, at) => (at === 0 ? '' : String(at / 1000).slice(1)));
const exactMs = 2 ** 31 / 1000 - 1;

/** Returns `JSON.stringify(record)`. */
export function requestJson(record: RequestRecord): string {
  const { policyHits } = record;
  return (
    `{"time":"${record.time}","kind":"request","direction":"${record.direction}",` +
    `"source":${kept(record.source)},"destination":${kept(record.destination)},"transport":"${record.transport}",` +
    `"bytesSent":${record.bytesSent},"bytesReceived":${record.bytesReceived},` +
    `"durationMs":${milliseconds(record.durationMs)},"flag":"${record.flag}",` +
    `"decidedBy":${quoted(record.decidedBy)},"error":${quoted(record.error)},"method":${quoted(record.method)},` +
    `"path":${quoted(record.path)},"status":${record.status},"attempts":${record.attempts},` +
    `"requestId":${quoted(record.requestId)},"traceId":${quoted(record.traceId)},` +
    `"authority":${quoted(record.authority)},` +
    `"protocol":"${record.protocol}","route":${quoted(record.route)},"grpcStatus":${record.grpcStatus},` +
    `${policyHits === undefined ? '' : `"policyHits":${JSON.stringify(policyHits)},`}` +
    `"segmentsMs":${segmentsJson(record.segmentsMs)}}`
  );
}

function segmentsJson({ clientProxy, wire, waypoint, destinationProxy, application }: RequestSegments): string {
  return (
    `{"clientProxy":${milliseconds(clientProxy)},"wire":${milliseconds(wire)},"waypoint":${milliseconds(waypoint)},` +
    `"destinationProxy":${milliseconds(destinationProxy)},"application":${milliseconds(application)}}`
  );
}

function kept(peer: object): string {
  const known = texts.get(peer);
  if (known !== undefined) return known;
  const made = JSON.stringify(peer);
  texts.set(peer, made);
  return made;
}

function quoted(text: string | null): string {
  if (text === null) return 'null';
  return plain.test(text) ? `"${text}"` : JSON.stringify(text);
}

/** Times are whole thousandths; whatever is not is left to `JSON.stringify`. */
function milliseconds(ms: number | null): string {
  if (ms === null) return 'null';
  const micros = Math.round(ms * 1000);
  if (!(ms >= 0 && ms < exactMs) || micros / 1000 !== ms) return JSON.stringify(ms);
  const whole = (micros / 1000) | 0;
  return whole + thousandths[micros - whole * 1000]!;
}

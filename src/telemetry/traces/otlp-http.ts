// Spans over the wire: OTLP over HTTP in protobuf (opentelemetry.io/docs/specs/otlp). Loaded where tracing is
// configured, and then alone: the encoder is OpenTelemetry's, and nobody else loads a module of it.
import type { ClientRequest, IncomingMessage } from 'node:http';
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { messageOf } from '../../base/errors.ts';
import { nodeHttp, nodeHttps } from '../../base/node-http.ts';
import { version } from '../../base/version.ts';
import type { Deliver, Delivery } from './span-queue.ts';

/** What the encoder reads of spans is less than their type says. */
type Encodable = Parameters<typeof ProtobufTraceSerializer.serializeRequest>[0];

const defaultPath = '/v1/traces';
const timeoutMs = 10_000;
/** Of an answer: more of it means nothing to us. */
const answerBytesMax = 64 * 1024;
/** That may be tried again (OTLP/HTTP Response, «Failures»). */
const retryable: ReadonlySet<number> = new Set([429, 502, 503, 504]);
const reasonLengthMax = 200;

/** What delivers to `endpoint`, which has been checked; over one connection that is kept. */
export function otlpDelivery(endpoint: string): Deliver {
  const url = new URL(endpoint);
  if (url.pathname === '/') url.pathname = defaultPath;
  const { Agent, request } = url.protocol === 'https:' ? nodeHttps : nodeHttp;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return (spans, signal) =>
    new Promise((resolve) => {
      const body = ProtobufTraceSerializer.serializeRequest(spans as unknown as Encodable) ?? new Uint8Array();
      const headers = {
        'content-type': 'application/x-protobuf',
        'content-length': body.length,
        'user-agent': `ambient/${version}`,
      };
      const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
      const asked: ClientRequest = request(url, { method: 'POST', agent, headers, signal: limit });
      const fail = (error: unknown): void => resolve({ kind: 'failed', reason: reasonOf(error), afterMs: -1 });
      asked.on('error', fail);
      asked.on('response', (response) => {
        response.on('error', fail);
        collect(response, (answer) => resolve(deliveryOf(response, answer)));
      });
      asked.end(body);
    });
}

function collect(response: IncomingMessage, done: (answer: Buffer) => void): void {
  const chunks: Buffer[] = [];
  let length = 0;
  response.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > answerBytesMax) response.destroy(new RangeError('the answer is too long'));
    else chunks.push(chunk);
  });
  response.on('end', () => done(Buffer.concat(chunks)));
}

function deliveryOf({ statusCode = 0, headers }: IncomingMessage, answer: Buffer): Delivery {
  if (statusCode >= 200 && statusCode < 300) return { kind: 'taken', ...rejectedIn(answer) };
  const reason = `it answered ${statusCode}`;
  if (!retryable.has(statusCode)) return { kind: 'refused', reason };
  return { kind: 'failed', reason, afterMs: retryAfterMs(headers['retry-after']) };
}

/** What an answer says of spans that were not taken. An answer that cannot be read says nothing. */
function rejectedIn(answer: Buffer): { readonly rejected: number; readonly reason: string } {
  try {
    const { partialSuccess } = ProtobufTraceSerializer.deserializeResponse(answer);
    const rejected = Math.max(Number(partialSuccess?.rejectedSpans ?? 0), 0);
    return { rejected, reason: partialSuccess?.errorMessage?.slice(0, reasonLengthMax) ?? '' };
  } catch {
    return { rejected: 0, reason: '' };
  }
}

function retryAfterMs(text: string | undefined): number {
  if (text === undefined) return -1;
  const seconds = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isNaN(seconds) ? -1 : Math.max(seconds, 0);
}

function reasonOf(error: unknown): string {
  return error instanceof Error && error.name === 'AbortError' ? 'no answer in time' : messageOf(error);
}

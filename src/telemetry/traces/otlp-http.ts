// Spans over the wire: OTLP over HTTP in protobuf (opentelemetry.io/docs/specs/otlp). Loaded where tracing is
// configured, and then alone: the encoder is OpenTelemetry's, and nobody else loads a module of it.
import type { Agent, ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import { nodeHttp, nodeHttps } from '../../base/node-http.ts';
import { version } from '../../base/version.ts';
import type { TracingConfig } from '../../config/tracing.ts';
import { CredentialsFolder, caFile, headersFile } from './receiver-credentials.ts';
import type { Deliver, Delivery } from './span-queue.ts';

type Receiver = Pick<TracingConfig, 'endpoint' | 'credentialsDir' | 'compression'>;

/** What the encoder reads of spans is less than their type says. */
type Encodable = Parameters<typeof ProtobufTraceSerializer.serializeRequest>[0];

const defaultPath = '/v1/traces';
const timeoutMs = 10_000;
/** Of an answer: more of it means nothing to us. */
const answerBytesMax = 64 * 1024;
/** That may be tried again (OTLP/HTTP Response, «Failures»). */
const retryable: ReadonlySet<number> = new Set([429, 502, 503, 504]);
const reasonLengthMax = 200;
/** It wants to know who sends. */
const keyStatuses: ReadonlySet<number> = new Set([401, 403]);
/** Of OpenSSL: nobody that we know vouches for the receiver. */
const unknownIssuer = /^(UNABLE_TO_(VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT(_LOCALLY)?)|(DEPTH_ZERO_)?SELF_SIGNED_CERT)/;
/** Beside the thread, not on it. */
const zip = promisify(gzip);

/** What delivers to the endpoint of `config`, which has been checked; over one connection that is kept. */
export function otlpDelivery(config: Receiver, clock: Clock): Deliver {
  const url = new URL(config.endpoint);
  if (url.pathname === '/') url.pathname = defaultPath;
  const credentials = new CredentialsFolder(config.credentialsDir, clock);
  const connections = new Connections(url);
  return async (spans, signal) => {
    const encoded = ProtobufTraceSerializer.serializeRequest(spans as unknown as Encodable) ?? new Uint8Array();
    const isZipped = config.compression === 'gzip';
    const body = isZipped ? await zip(encoded, { level: constants.Z_BEST_SPEED }) : encoded;
    const encoding = isZipped ? { 'content-encoding': 'gzip' } : {};
    const said = { 'content-type': 'application/x-protobuf', 'content-length': body.length, ...encoding };
    const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    try {
      const { headers, ca } = await credentials.current();
      const all = { 'user-agent': `ambient/${version}`, ...headers, ...said };
      return await post(connections.request(ca, { method: 'POST', headers: all, signal: limit }), body);
    } catch (error) {
      // Of the files: somebody may mend them.
      return { kind: 'failed', reason: messageOf(error), afterMs: -1 };
    }
  };
}

/** One connection that is kept, and another one when somebody else vouches for the receiver. */
class Connections {
  readonly #url: URL;
  #ca = '';
  #agent: Agent;

  constructor(url: URL) {
    this.#url = url;
    this.#agent = this.#make();
  }

  request(ca: string, options: RequestOptions): ClientRequest {
    if (ca !== this.#ca) {
      this.#ca = ca;
      this.#agent.destroy();
      this.#agent = this.#make();
    }
    const { request } = this.#isTls ? nodeHttps : nodeHttp;
    return request(this.#url, { ...options, agent: this.#agent });
  }

  get #isTls(): boolean {
    return this.#url.protocol === 'https:';
  }

  #make(): Agent {
    const options = { keepAlive: true, maxSockets: 1 };
    if (!this.#isTls) return new nodeHttp.Agent(options);
    return new nodeHttps.Agent(this.#ca === '' ? options : { ...options, ca: this.#ca });
  }
}

function post(asked: ClientRequest, body: Uint8Array): Promise<Delivery> {
  return new Promise((resolve) => {
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
  const hint = keyStatuses.has(statusCode)
    ? `: what it asks for goes into ${headersFile} of tracing.credentialsDir`
    : '';
  const reason = `it answered ${statusCode}${hint}`;
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
  if (error instanceof Error && error.name === 'AbortError') return 'no answer in time';
  const { code = '' } = error as NodeJS.ErrnoException;
  if (!unknownIssuer.test(code)) return messageOf(error);
  return `nobody known vouches for its certificate (${code}): who does goes into ${caFile} of tracing.credentialsDir`;
}

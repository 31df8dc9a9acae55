// The client of an echo's image: makes requests from within a pod and says what came back, in the lines that the mesh
// tests of Gateway API's conformance suite read. HTTP/1.1 takes a new connection for each request, gRPC one for all.
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { MeshError, messageOf } from '../../base/errors.ts';
import type { EchoClientOptions } from './client-options.ts';
import { frame, readStringField, stringField, unframe } from './grpc.ts';

/** What a program writes, and ends with. */
export interface EchoClientResult {
  readonly stdout: string;
  /** 1 when any request failed; an answer of any status is none. */
  readonly exitCode: number;
}

/** Lines of one answer, without the request's number. */
type Ask = () => Promise<string[]>;

const atOnceMax = 16;
const grpcPortDefault = '7070';

/** Makes all requests, some of them at once. Never rejects. */
export async function runEchoClient(options: EchoClientOptions): Promise<EchoClientResult> {
  const { ask, close } = options.url.protocol === 'grpc:' ? grpcAsker(options) : httpAsker(options);
  const texts: string[] = [];
  let next = 0;
  let failures = 0;
  const worker = async (): Promise<void> => {
    while (next < options.count) {
      const at = next++;
      const sent = [`Url=${options.url.href}`, ...options.headers.map(([name, value]) => `Header=${name}:${value}`)];
      const startedAt = performance.now();
      const lines = await ask().catch((error: unknown) => {
        failures++;
        // Of several addresses that refuse, Node tells the code alone.
        return [`error] ${messageOf(error) || (error as NodeJS.ErrnoException).code}`];
      });
      sent.push(`Latency=${(performance.now() - startedAt).toFixed(3)}ms`);
      const marked = [...sent, ...lines].map((line) => `[${at}${isMarked(line) ? ' ' : '] '}${line}`);
      texts[at] = `${marked.join('\n')}\n`;
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnceMax, options.count) }, worker));
  close();
  return { stdout: `${texts.join('\n')}`, exitCode: failures > 0 ? 1 : 0 };
}

function isMarked(line: string): boolean {
  return line.startsWith('body] ') || line.startsWith('error] ');
}

function bodyLines(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => `body] ${line}`);
}

/** Values by name; a list where a name was given more than once. */
function groupedHeaders(headers: EchoClientOptions['headers']): Record<string, string | string[]> {
  const grouped: Record<string, string | string[]> = {};
  for (const [name, value] of headers) {
    const before = grouped[name];
    grouped[name] = before === undefined ? value : [before, value].flat();
  }
  return grouped;
}

function httpAsker(options: EchoClientOptions): { ask: Ask; close: () => void } {
  const { url, method, timeoutMs } = options;
  const headers = groupedHeaders(options.headers);
  const common = { agent: false, method, timeout: timeoutMs, headers };
  const ask = (): Promise<string[]> =>
    new Promise((resolve, reject) => {
      const onAnswer = (response: IncomingMessage): void => {
        answerOf(response).then(resolve, reject);
      };
      const outgoing =
        url.protocol === 'https:'
          ? httpsRequest(url, { ...common, rejectUnauthorized: false }, onAnswer)
          : httpRequest(url, common, onAnswer);
      outgoing.on('timeout', () => outgoing.destroy(timedOut(options)));
      outgoing.on('error', reject);
      outgoing.end();
    });
  return { ask, close: () => {} };
}

async function answerOf(response: IncomingMessage): Promise<string[]> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const headers: string[] = [];
  for (let at = 0; at + 1 < response.rawHeaders.length; at += 2) {
    headers.push(`ResponseHeader=${response.rawHeaders[at]}:${response.rawHeaders[at + 1]}`);
  }
  const body = bodyLines(Buffer.concat(chunks).toString('utf8'));
  return [`StatusCode=${response.statusCode}`, ...headers.sort(), ...body];
}

function grpcAsker(options: EchoClientOptions): { ask: Ask; close: () => void } {
  const { hostname, port } = options.url;
  const authority = `${hostname}:${port === '' ? grpcPortDefault : port}`;
  const session = connectHttp2(`http://${authority}`);
  session.on('error', () => {}); // each request on it says what happened
  const metadata = groupedHeaders(options.headers.map(([name, value]) => [name.toLowerCase(), value] as const));
  const head = {
    ':method': 'POST',
    ':path': '/proto.EchoTestService/Echo',
    'content-type': 'application/grpc',
    te: 'trailers',
  };
  const ask = (): Promise<string[]> =>
    new Promise((resolve, reject) => {
      const stream = session.request({ ...head, ...metadata });
      const chunks: Buffer[] = [];
      let status = 'none';
      let message = '';
      const onHeaders = (got: Readonly<Record<string, unknown>>): void => {
        status = String(got['grpc-status'] ?? status);
        message = String(got['grpc-message'] ?? message);
      };
      stream.setTimeout(options.timeoutMs, () => stream.destroy(timedOut(options)));
      stream.on('response', onHeaders);
      stream.on('trailers', onHeaders);
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('error', reject);
      stream.on('end', () => {
        const answer = unframe(Buffer.concat(chunks));
        if (status === '0' && answer !== null) resolve(bodyLines(readStringField(answer)));
        else
          reject(new MeshError('NOT_REACHABLE', { what: authority, reason: `gRPC status ${status}`, hint: message }));
      });
      stream.end(frame(stringField(options.message)));
    });
  return { ask, close: () => session.close() };
}

function timedOut({ url, timeoutMs }: EchoClientOptions): MeshError {
  return new MeshError('TIMED_OUT', { what: url.href, timeoutMs, hint: 'see --timeout' });
}

// One small HTTP request with its whole answer, to a port of our own programs.
import { type IncomingMessage, request } from 'node:http';
import { MeshError, messageOf } from '../base/errors.ts';
import { formatHostPort } from '../base/ip.ts';

export interface HttpQuestion {
  readonly method: string;
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly body: string;
  readonly timeoutMs: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
  /** The process that answered, where it says so: two proxies share their ports while one replaces the other. */
  readonly pid: number | null;
}

const answerBytesMax = 256 * 1024 * 1024;

/**
 * Resolves with status and body. Rejects with the socket's own error, `TIMED_OUT`, or `LIMIT_REACHED` for an answer
 * without end.
 */
export function askHttp(question: HttpQuestion): Promise<HttpAnswer> {
  const { method, host, port, path, body, timeoutMs } = question;
  const what = `${method} http://${formatHostPort(host, port)}${path}`;
  return new Promise((resolve, reject) => {
    const headers =
      body === '' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const outgoing = request({ method, host, port, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > answerBytesMax)
          outgoing.destroy(new MeshError('LIMIT_REACHED', { limit: 'answerBytesMax', value: answerBytesMax, what }));
        else chunks.push(chunk);
      });
      response.on('error', reject);
      response.on('end', () => {
        clearTimeout(timer);
        const pid = Number(response.headers['x-ambient-pid']) || null;
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8'), pid });
      });
    });
    const timer = setTimeout(
      () => outgoing.destroy(new MeshError('TIMED_OUT', { what, timeoutMs, hint: 'is the process stopped?' })),
      timeoutMs,
    );
    outgoing.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    outgoing.end(body);
  });
}

/** What a GET answers, whatever its status; the caller reads or destroys it. Throws NOT_REACHABLE. */
export async function openHttp(
  host: string,
  port: number,
  path: string,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  try {
    return await new Promise<IncomingMessage>((resolve, reject) => {
      request({ host, port, path, agent: false, signal }, resolve).on('error', reject).end();
    });
  } catch (error) {
    const what = `http://${formatHostPort(host, port)}${path}`;
    throw new MeshError('NOT_REACHABLE', { what, reason: messageOf(error), hint: 'is it running?' }, { cause: error });
  }
}

/**
 * Yields what a GET answers as it comes. Throws NOT_REACHABLE when nobody answers, USAGE for an answer other than 200,
 * with its words.
 */
export async function* streamHttp(
  host: string,
  port: number,
  path: string,
  signal: AbortSignal,
): AsyncIterable<Buffer> {
  const response = await openHttp(host, port, path, signal);
  try {
    if (response.statusCode === 200) yield* response;
    else throw new MeshError('USAGE', { reason: (await textOf(response)).trim() });
  } finally {
    response.destroy();
  }
}

const wordsMax = 10_000;

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response) {
    text += String(chunk);
    if (text.length > wordsMax) break;
  }
  return text.slice(0, wordsMax);
}

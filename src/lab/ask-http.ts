// One small HTTP request with its whole answer, to a port of our own programs.
import { request } from 'node:http';
import { MeshError } from '../base/errors.ts';
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

// The calls that an echo process makes to others: what turns seven echoes into a shop whose services depend on each
// other.
import { randomUUID } from 'node:crypto';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { isMeshError, MeshError, messageOf } from '../../base/errors.ts';
import { idempotencyHeader, orderHeader } from './orders.ts';

/** How many hops a chain of calls has behind it, so that a circle of services ends. */
export const depthHeader = 'x-echo-depth';
const depthMax = 8;
const callTimeoutMs = 5_000;
const bodyKeptBytes = 64 * 1024;
/** A kept-alive connection is used this many times, so that a mesh sees new connections too. */
const requestsPerConnection = 20;

export interface CallResult {
  readonly url: string;
  /** HTTP status; null for TCP, or when nothing came back. */
  readonly status: number | null;
  readonly pod: string | null;
  readonly bytes: number;
  readonly durationMs: number;
  /** Why no answer came; null when one did. */
  readonly error: string | null;
}

/** Makes calls with kept-alive connections; one per process. */
export class EchoCalls {
  readonly #urls: readonly string[];
  #agent = new Agent({ keepAlive: true, maxSockets: 64 });
  #made = 0;
  #ticking = false;
  #lastOutcome = '';

  constructor(urls: readonly string[]) {
    this.#urls = urls;
  }

  /** Calls every configured URL once, side by side. Never rejects; a chain deeper than 8 calls nobody. */
  callAll(depth: number): Promise<CallResult[]> {
    return depth >= depthMax ? Promise.resolve([]) : Promise.all(this.#urls.map((url) => this.call(url, depth)));
  }

  /** Calls one `http://` or `tcp://` URL; after `POST `, with an order of its own to charge. Never rejects. */
  async call(url: string, depth = 0): Promise<CallResult> {
    const startedAt = performance.now();
    const took = (): number => Math.round((performance.now() - startedAt) * 100) / 100;
    try {
      const parsed = new URL(url.replace(/^POST /, ''));
      const got =
        parsed.protocol === 'tcp:'
          ? await callTcp(parsed)
          : await this.#callHttp(parsed, depth, url.startsWith('POST ') ? randomUUID() : null);
      return { url, ...got, durationMs: took(), error: null };
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      const reason = code && !isMeshError(error) ? code : messageOf(error);
      return { url, status: null, pod: null, bytes: 0, durationMs: took(), error: reason };
    }
  }

  /**
   * One beat of the steady ticker: a round of calls unless one is still under way; a line is logged when the outcome
   * changes.
   */
  tick(log: (line: string) => void): void {
    if (this.#ticking) return;
    this.#ticking = true;
    void this.callAll(0).then((results) => {
      this.#ticking = false;
      const outcome = results.map((result) => `${result.url} ${result.error ?? result.status ?? 'ok'}`).join(', ');
      if (outcome !== this.#lastOutcome) log(`calls: ${outcome}`);
      this.#lastOutcome = outcome;
    });
  }

  close(): void {
    this.#agent.destroy();
  }

  #callHttp(url: URL, depth: number, order: string | null): Promise<Pick<CallResult, 'status' | 'pod' | 'bytes'>> {
    const last = ++this.#made % requestsPerConnection === 0;
    const headers = {
      [depthHeader]: String(depth + 1),
      ...(last ? { connection: 'close' } : {}),
      // The same order never has another key: whoever sends this again charges nothing twice.
      ...(order === null ? {} : { [orderHeader]: order, [idempotencyHeader]: order }),
    };
    const method = order === null ? 'GET' : 'POST';
    return new Promise((resolve, reject) => {
      const outgoing = request(url, { agent: this.#agent, method, headers, timeout: callTimeoutMs }, (response) => {
        const kept: Buffer[] = [];
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          if (bytes < bodyKeptBytes) kept.push(chunk);
          bytes += chunk.length;
        });
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(kept).toString('utf8');
          resolve({ status: response.statusCode ?? null, pod: podIn(text), bytes });
        });
      });
      outgoing.on('timeout', () => outgoing.destroy(timedOut(url)));
      outgoing.on('error', reject);
      outgoing.end();
    });
  }
}

/** Sends one line and waits for it to come back. */
function callTcp(url: URL): Promise<Pick<CallResult, 'status' | 'pod' | 'bytes'>> {
  const line = 'ping from echo\n';
  return new Promise((resolve, reject) => {
    const socket = connect({ host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port) });
    let got = '';
    socket.setTimeout(callTimeoutMs, () => socket.destroy(timedOut(url)));
    socket.on('error', reject);
    socket.on('data', (chunk: Buffer) => {
      got += chunk.toString('latin1');
      if (!got.includes(line)) return;
      socket.end();
      resolve({ status: null, pod: null, bytes: got.length });
    });
    socket.on('close', () =>
      reject(new MeshError('NOT_REACHABLE', { what: url.href, reason: 'closed early', hint: 'see its log' })),
    );
    socket.write(line);
  });
}

function timedOut(url: URL): MeshError {
  return new MeshError('TIMED_OUT', { what: url.href, timeoutMs: callTimeoutMs, hint: 'see its log' });
}

function podIn(text: string): string | null {
  return /"pod": "([^"]*)"/.exec(text)?.[1] ?? null;
}

// For tests and fuzzing: what the server side makes of bytes that a client sends, however they are split.
import type { MeshError } from '../../base/errors.ts';
import type { IncomingRequest, RequestHandler, Trailers } from '../message.ts';
import type { H1ServerOptions } from './limits.ts';
import { createServerConnection } from './server-connection.ts';
import { TestingStream } from './testing-stream.ts';

export interface UnderstoodRequest {
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly scheme: string;
  readonly upgrade: string | null;
  readonly contentLength: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  body: string;
  trailers: Trailers;
  /** How its body ended: `end`, the code of the error that broke it, or null when it goes on. */
  ended: string | null;
}

export interface Understood {
  readonly requests: readonly UnderstoodRequest[];
  /** Status of a head that was refused (0: closed only), and why; null when none was. */
  readonly refused: { readonly status: number; readonly error: MeshError } | null;
  /** What the client was sent. */
  readonly written: string;
  /** Our side has ended. */
  readonly ended: boolean;
}

/** Takes a body and answers 204 at its end. */
class Reader implements RequestHandler {
  readonly seen: UnderstoodRequest;
  readonly #request: IncomingRequest;
  readonly #chunks: Buffer[] = [];

  constructor(request: IncomingRequest) {
    const { method, target, authority, scheme, upgrade, contentLength } = request.head;
    const headers: [string, string][] = [];
    request.head.headers.each((name, value) => headers.push([name, value]));
    this.#request = request;
    const facts = { method, target, authority, scheme, upgrade, contentLength };
    this.seen = { ...facts, headers, body: '', trailers: null, ended: null };
    request.start(this);
  }

  onData(chunk: Buffer): number {
    this.#chunks.push(Buffer.from(chunk));
    return 0;
  }
  onEnd(trailers: Trailers): void {
    this.seen.body = Buffer.concat(this.#chunks).toString('latin1');
    this.seen.trailers = trailers;
    this.seen.ended = 'end';
    this.#request.answer(204, [], '');
  }
  onDrain(): void {}
  onAbort(error: MeshError): void {
    this.seen.ended = error.code;
  }
}

/** Feeds `chunks` to a server connection that answers every request with 204, and returns what it made of them. */
export function understand(chunks: readonly (Buffer | string)[], options: H1ServerOptions = {}): Understood {
  const stream = new TestingStream();
  const readers: Reader[] = [];
  let refused: Understood['refused'] = null;
  createServerConnection(
    stream,
    {
      onRequest: (request) => readers.push(new Reader(request)),
      onRefused: (status, error) => {
        refused = { status, error };
      },
      onClose: () => undefined,
    },
    options,
  );
  for (const chunk of chunks) stream.receive(chunk);
  const { text, ended } = stream;
  stream.destroy();
  return { requests: readers.map(({ seen }) => seen), refused, written: text, ended };
}

// What Node's own HTTP server (llhttp) makes of bytes, at once and in this process: it is given a stream that is no
// socket.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Duplex } from 'node:stream';

export interface NodeRequest {
  readonly method: string;
  readonly url: string;
  readonly version: string;
  /** Flat: name, value, …, as they came. */
  readonly rawHeaders: readonly string[];
  readonly body: string;
  readonly complete: boolean;
}

export interface NodeView {
  readonly requests: readonly NodeRequest[];
  /** Code of the parser's error; null when it had none. */
  readonly error: string | null;
}

let seen: IncomingMessage[] = [];
let error: string | null = null;

const server = createServer(
  { maxHeaderSize: 256 * 1024, requireHostHeader: false, keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 },
  (request: IncomingMessage) => {
    seen.push(request);
    request.on('error', () => undefined);
  },
);
server.maxHeadersCount = 0;
for (const event of ['checkContinue', 'checkExpectation'] as const) {
  server.on(event, (request: IncomingMessage, _response: ServerResponse) => {
    seen.push(request);
    request.on('error', () => undefined);
  });
}
server.on('connect', (request: IncomingMessage) => seen.push(request));
server.on('clientError', (cause: NodeJS.ErrnoException) => {
  error ??= cause.code ?? cause.message;
});

class DeafSocket extends Duplex {
  override _read(): void {}
  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done();
  }
  setTimeout(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
}

/** Feeds `bytes` to a new connection; nothing is answered. */
export function understandByNode(bytes: Buffer): NodeView {
  seen = [];
  error = null;
  const socket = new DeafSocket();
  socket.on('error', () => undefined);
  server.emit('connection', socket);
  if (bytes.length > 0) socket.emit('data', Buffer.from(bytes));
  const requests = seen.map((request) => {
    const body: Buffer = (request.read() as Buffer | null) ?? Buffer.alloc(0);
    return {
      method: request.method ?? '',
      url: request.url ?? '',
      version: request.httpVersion,
      rawHeaders: request.rawHeaders,
      body: body.toString('latin1'),
      complete: request.complete,
    };
  });
  const view = { requests, error };
  socket.destroy();
  return view;
}

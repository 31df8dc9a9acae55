// A hand inside a pod: runs in the pod's namespaces, opens and accepts plain TCP connections, and does with them what
// the test says, so that a test can hold both ends of a connection that the mesh carries. Speaks JSON lines on stdio.
import { createHash, type Hash } from 'node:crypto';
import { createServer, connect as netConnect, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

interface Request {
  readonly id: number;
  readonly op: string;
  readonly conn?: number;
  readonly host?: string;
  readonly port?: number;
  readonly localPort?: number;
  readonly text?: string;
  readonly bytes?: number;
  readonly seed?: number;
  readonly paused?: boolean;
  readonly greeting?: string;
}

interface Connection {
  readonly socket: Socket;
  readonly hash: Hash;
  bytesRead: number;
  text: string;
  ended: boolean;
  closed: boolean;
  error: string | null;
}

const textKeptBytes = 4096;
const connections = new Map<number, Connection>();
const servers = new Map<number, Server>();
let nextConnection = 1;

const say = (message: object): void => {
  process.stdout.write(`${JSON.stringify(message)}\n`);
};

function stateOf(conn: number): object {
  const at = connections.get(conn);
  if (at === undefined) return { conn };
  const { bytesRead, text, ended, closed, error } = at;
  return { conn, bytesRead, text, ended, closed, error, digest: at.hash.copy().digest('hex') };
}

function adopt(socket: Socket, paused: boolean): number {
  const conn = nextConnection++;
  const at: Connection = {
    socket,
    hash: createHash('sha256'),
    bytesRead: 0,
    text: '',
    ended: false,
    closed: false,
    error: null,
  };
  connections.set(conn, at);
  socket.setNoDelay(true);
  socket.on('data', (chunk: Buffer) => {
    at.bytesRead += chunk.length;
    at.hash.update(chunk);
    if (at.text.length < textKeptBytes) at.text += chunk.toString('latin1').slice(0, textKeptBytes - at.text.length);
    say({ event: 'read', conn, bytesRead: at.bytesRead });
  });
  socket.on('end', () => {
    at.ended = true;
    say({ event: 'changed', conn });
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    at.error = error.code ?? error.message;
  });
  socket.on('close', () => {
    at.closed = true;
    say({ event: 'changed', conn });
  });
  if (paused) socket.pause();
  return conn;
}

/** Deterministic bytes: the same seed gives the same stream, so that both ends can compare digests. */
function pattern(seed: number, length: number): Buffer {
  const words = new Uint32Array(Math.ceil(length / 4));
  let x = seed | 1;
  for (let i = 0; i < words.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[i] = x;
  }
  return Buffer.from(words.buffer, 0, length);
}

function drained(at: Connection): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      at.socket.off('drain', done).off('close', done);
      if (at.closed || at.socket.destroyed) reject(new Error('closed before everything was sent'));
      else resolve();
    };
    at.socket.on('drain', done).on('close', done);
  });
}

async function writePattern(at: Connection, bytes: number, seed: number): Promise<string> {
  const hash = createHash('sha256');
  const block = pattern(seed, Math.min(bytes, 1 << 20));
  for (let left = bytes; left > 0; ) {
    const chunk = left >= block.length ? block : block.subarray(0, left);
    hash.update(chunk);
    left -= chunk.length;
    if (!at.socket.write(chunk)) await drained(at);
  }
  return hash.digest('hex');
}

function connect(request: Request): Promise<object> {
  return new Promise((resolve) => {
    const { host = '', port = 0, localPort } = request;
    const own = localPort === undefined ? {} : { localPort };
    const socket = netConnect({ host, port, allowHalfOpen: true, ...own });
    const conn = adopt(socket, request.paused ?? false);
    socket.once('connect', () => resolve({ conn, local: `${socket.localAddress}:${socket.localPort}` }));
    socket.once('error', (error: NodeJS.ErrnoException) => resolve({ conn, failed: error.code ?? error.message }));
  });
}

function listen(request: Request): Promise<object> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      const conn = adopt(socket, request.paused ?? false);
      if (request.greeting !== undefined) socket.write(request.greeting);
      say({ event: 'accepted', conn, port: request.port, remote: `${socket.remoteAddress}:${socket.remotePort}` });
    });
    server.on('error', reject);
    server.listen({ port: request.port, host: '::', backlog: 2048 }, () => resolve({}));
    servers.set(request.port ?? 0, server);
  });
}

async function perform(request: Request): Promise<object> {
  if (request.op === 'connect') return connect(request);
  if (request.op === 'listen') return listen(request);
  if (request.op === 'unlisten') {
    servers.get(request.port ?? 0)?.close();
    return {};
  }
  if (request.op === 'states') return { states: [...connections.keys()].map(stateOf) };
  const conn = request.conn ?? 0;
  const at = connections.get(conn);
  if (at === undefined) throw new Error(`no connection ${conn}`);
  switch (request.op) {
    case 'write':
      at.socket.write(request.text ?? '');
      return {};
    case 'writePattern':
      return { digest: await writePattern(at, request.bytes ?? 0, request.seed ?? 1) };
    case 'end':
      at.socket.end();
      return {};
    case 'reset':
      at.socket.resetAndDestroy();
      return {};
    case 'pause':
      at.socket.pause();
      return {};
    case 'resume':
      at.socket.resume();
      return {};
    case 'state':
      return stateOf(conn);
    default:
      throw new Error(`no operation ${request.op}`);
  }
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const request = JSON.parse(line) as Request;
  perform(request).then(
    (result) => say({ id: request.id, result }),
    (error: unknown) => say({ id: request.id, error: error instanceof Error ? error.message : String(error) }),
  );
});
process.stdin.on('end', () => process.exit(0));
say({ event: 'ready' });

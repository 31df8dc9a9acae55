// The load inside a pod: opens streams of several kinds, serves those of others, and checks every byte of both. Speaks
// JSON lines on stdio with `load.ts`. A stream ends in one of four ways:
//
//   fine   every byte came, in order, and both directions were ended in good order
//   error  the socket reported an error
//   early  an end in good order before every byte was there: a lie, unless the other pod was killed just then
//   wrong  other bytes than were sent
import { once } from 'node:events';
import { createServer, connect as netConnect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import {
  decodeHead,
  encodeHead,
  headBytes,
  isPattern,
  patternAt,
  type StreamHead,
  type StreamKind,
} from './stream-pattern.ts';

export type Outcome = 'fine' | 'error' | 'early' | 'wrong';

export interface LoadOrder {
  readonly kind: StreamKind;
  readonly host: string;
  readonly port: number;
  /** Streams at once; each is followed by the next. */
  readonly parallel: number;
  readonly up: number;
  readonly down: number;
  readonly pauseMs: number;
  /** A `long` stream waits this between two rounds. */
  readonly roundMs?: number;
  /** Streams in all; default: until `stop`. */
  readonly repeat?: number;
}

const roundBytes = 256;
const afterErrorMs = 20;
/** Time for some of it to arrive: what is reset at once never leaves the kernel. */
const beforeResetMs = 50;
const writeBytes = 65_536;
/** A reset is one packet, and a full link drops it as any other: who only waits asks the kernel to find out. */
const keepAliveMs = 3_000;
const tally: Record<string, number> = {};
const running = new Set<Side>();
let nextId = 1;
/** Streams that will be opened after a pause. */
let due = 0;
let stopping = false;

const say = (message: object): void => {
  process.stdout.write(`${JSON.stringify(message)}\n`);
};

/** One end of a stream: what it has sent and read so far. */
class Side {
  readonly socket: Socket;
  readonly role: 'client' | 'server';
  readonly startedMs = Date.now();
  readonly #onEnd: (outcome: Outcome) => void;
  head: StreamHead | null = null;
  sent = 0;
  read = 0;
  ended = false;
  wrong = false;
  /** It was ended from this end, as it was meant to be. */
  aborted = false;
  error: string | null = null;

  constructor(socket: Socket, role: 'client' | 'server', onEnd: (outcome: Outcome) => void) {
    this.socket = socket;
    this.role = role;
    this.#onEnd = onEnd;
    running.add(this);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, keepAliveMs);
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.error = error.code ?? error.message;
    });
    socket.on('end', () => {
      this.ended = true;
    });
    socket.on('close', () => this.#closed());
  }

  get toSend(): number {
    return (this.role === 'client' ? this.head?.up : this.head?.down) ?? 0;
  }

  get toRead(): number {
    return (this.role === 'client' ? this.head?.down : this.head?.up) ?? 0;
  }

  /** Checks a chunk of the body. */
  take(chunk: Buffer): void {
    const { head } = this;
    if (head === null) return;
    const seed = this.role === 'client' ? head.seed + 1 : head.seed;
    if (this.read + chunk.length > this.toRead || !isPattern(seed, this.read, chunk)) {
      this.wrong = true;
      this.socket.resetAndDestroy();
    }
    this.read += chunk.length;
  }

  /** Sends up to `length` more bytes of the body, as fast as the socket takes them; then calls `done`. */
  send(length: number, done: () => void): void {
    const goal = Math.min(this.toSend, this.sent + length);
    const push = (): void => {
      if (this.socket.destroyed) return;
      const seed = this.role === 'client' ? this.head!.seed : this.head!.seed + 1;
      while (this.sent < goal) {
        const chunk = patternAt(seed, this.sent, Math.min(writeBytes, goal - this.sent));
        this.sent += chunk.length;
        if (!this.socket.write(chunk)) {
          this.socket.once('drain', push);
          return;
        }
      }
      done();
    };
    push();
  }

  #closed(): void {
    running.delete(this);
    const { head } = this;
    const whole =
      this.aborted || (head !== null && this.ended && this.read === this.toRead && this.sent === this.toSend);
    const outcome = this.wrong ? 'wrong' : this.error !== null ? 'error' : whole ? 'fine' : 'early';
    const name = `${this.role} ${head?.kind ?? 'none'} ${outcome}`;
    tally[name] = (tally[name] ?? 0) + 1;
    if (outcome === 'wrong' || outcome === 'early') this.tell(outcome);
    this.#onEnd(outcome);
  }

  tell(event: string): void {
    const { role, startedMs, sent, read, error, head } = this;
    say({ event, role, startedMs, atMs: Date.now(), sent, read, error, head });
  }
}

function open(order: LoadOrder, onEnd: (outcome: Outcome) => void): void {
  const socket = netConnect({ host: order.host, port: order.port, allowHalfOpen: true });
  const side = new Side(socket, 'client', (outcome) => {
    if (order.kind === 'flip') side.tell(outcome === 'fine' ? 'flip served' : 'flip refused');
    onEnd(outcome);
  });
  const { kind, up, down } = order;
  const id = nextId++;
  side.head = { kind, id, seed: id % 8, up, down, port: 0 };
  socket.on('data', (chunk) => {
    side.take(chunk as Buffer);
    if (kind === 'intruder') side.tell('intrusion');
  });
  socket.on('end', () => {
    // Nobody is left to go on with.
    if (kind === 'long' && side.read < side.toRead) socket.destroy();
  });
  socket.on('connect', () => {
    side.head = { ...side.head!, port: socket.localPort ?? 0 };
    socket.write(encodeHead(side.head));
    const end = (): void => void socket.end();
    if (kind === 'long') round(side, order.roundMs ?? 100, end);
    else if (kind === 'reset') {
      side.send(Math.floor(up * 0.6), () => {
        setTimeout(() => {
          side.aborted = true;
          socket.resetAndDestroy();
        }, beforeResetMs);
      });
    } else if (kind === 'half' || kind === 'bulk') side.send(up, end);
    else {
      side.send(up, () => undefined);
      socket.on('end', end);
    }
  });
}

/** Sends a little, waits for as much, rests, and so on until everything was sent. */
function round(side: Side, roundMs: number, done: () => void): void {
  if (side.sent >= side.toSend) {
    done();
    return;
  }
  side.send(roundBytes, () => undefined);
  const check = (): void => {
    if (side.read < side.sent) return;
    side.socket.off('data', check);
    setTimeout(() => {
      if (!side.socket.destroyed) round(side, roundMs, done);
    }, roundMs);
  };
  side.socket.on('data', check);
}

function serve(socket: Socket): void {
  const side = new Side(socket, 'server', () => undefined);
  let first: Buffer | null = Buffer.alloc(0);
  socket.on('data', (data) => {
    let chunk = data as Buffer;
    if (first !== null) {
      first = Buffer.concat([first, chunk]);
      if (first.length < headBytes) return;
      side.head = decodeHead(first);
      if (side.head === null) {
        side.wrong = true;
        socket.resetAndDestroy();
        return;
      }
      chunk = first.subarray(headBytes);
      first = null;
      if (side.head.kind === 'intruder') side.tell('intrusion');
      if (side.head.kind === 'bulk') side.send(side.toSend, () => socket.end());
    }
    side.take(chunk);
    const { kind } = side.head!;
    if (kind === 'long') side.send(chunk.length, () => undefined);
    if ((kind === 'short' || kind === 'flip') && side.read === side.toRead && side.sent === 0) {
      side.send(side.toSend, () => socket.end());
    }
  });
  socket.on('end', () => {
    if (side.head?.kind === 'half' && side.read === side.toRead) side.send(side.toSend, () => socket.end());
    else if (!socket.writableEnded && side.head?.kind !== 'bulk') socket.end();
  });
}

function run(order: LoadOrder): void {
  let left = order.repeat ?? Number.POSITIVE_INFINITY;
  const next = (): void => {
    if (stopping || left-- <= 0) return;
    open(order, (outcome) => {
      due++;
      setTimeout(
        () => {
          due--;
          next();
        },
        outcome === 'fine' ? order.pauseMs : order.pauseMs + afterErrorMs,
      );
    });
  };
  for (let i = 0; i < order.parallel; i++) next();
}

async function perform(request: { op: string; port?: number; order?: LoadOrder }): Promise<object> {
  if (request.op === 'serve') {
    const server = createServer({ allowHalfOpen: true }, serve);
    server.listen({ port: request.port ?? 0, host: '::', backlog: 2048 });
    await once(server, 'listening');
  } else if (request.op === 'run') {
    stopping = false;
    run(request.order!);
  } else if (request.op === 'stop') stopping = true;
  else if (request.op === 'abort') for (const side of [...running]) side.socket.resetAndDestroy();
  const open = [...running].map(({ role, head, startedMs, sent, read, ended }) => {
    return { role, kind: head?.kind ?? null, id: head?.id ?? null, startedMs, sent, read, ended };
  });
  return { tally, open, due };
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, ...request } = JSON.parse(line) as { id: number; op: string };
  void perform(request).then((result) => say({ id, result }));
});
process.stdin.on('end', () => process.exit(0));
say({ event: 'ready' });

// The access log: one line per connection or HTTP request, as JSON or readable text, written in batches to standard
// output or a file.
// The queue is bounded: a reader of the log that stops must not stop the mesh, so lines beyond it are counted and
// dropped.
import { closeSync, fstatSync, openSync, write, writeSync } from 'node:fs';
import type { PeerView } from '../model/views.ts';
import type { AccessRecord, RequestRecord } from './access-record.ts';
import { requestJson } from './request-json.ts';

export interface AccessLogOptions {
  readonly format: 'json' | 'text';
  /** '' is standard output. */
  readonly file: string;
  /** 'off' writes nothing. */
  readonly access: 'on' | 'off';
  /** Also a line when a connection opens, at `debug` and `trace`. */
  readonly level: string;
  /** Lines that may wait; default 10,000. */
  readonly queueLinesMax?: number;
  /** How long a line may wait for others to be written with; default 20 ms. */
  readonly flushMs?: number;
}

/** Several threads write to one pipe: up to PIPE_BUF bytes a write is one piece, beyond it lines could mix. */
const pipeBatchBytes = 4096;
/** To a file that is opened for appending, every write is one piece. */
const fileBatchBytes = 64 * 1024;
const retryMs = 10;

/** Access log of one thread. `write` never blocks and never throws; `close` writes what waits. */
export class AccessLog {
  #options: AccessLogOptions;
  readonly #queueLinesMax: number;
  readonly #flushMs: number;
  readonly #fd: number;
  readonly #batchBytes: number;
  #level: string;
  #queue: string[] = [];
  #queueBytes = 0;
  #inFlight: Buffer | null = null;
  #inFlightAt = 0;
  /** A write is with the kernel: its bytes must not be written again. */
  #writing = false;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;
  #dropped = 0;

  constructor(options: AccessLogOptions) {
    this.#options = options;
    this.#queueLinesMax = options.queueLinesMax ?? 10_000;
    this.#flushMs = options.flushMs ?? 20;
    this.#level = options.level;
    this.#fd = options.file === '' ? 1 : openSync(options.file, 'a', 0o640);
    this.#batchBytes = options.file !== '' && fstatSync(this.#fd).isFile() ? fileBatchBytes : pipeBatchBytes;
  }

  /** Lines lost because the queue was full. */
  get dropped(): number {
    return this.#dropped;
  }

  setLevel(level: string): void {
    this.#level = level;
  }

  /** Lines from now on; the file stays. */
  setStyle(style: Pick<AccessLogOptions, 'format' | 'access'>): void {
    const { format, access } = style;
    this.#options = { ...this.#options, format, access };
  }

  /** True when `writeOpening` would write: ask before building its record. */
  get logsOpenings(): boolean {
    return this.#options.access === 'on' && (this.#level === 'debug' || this.#level === 'trace');
  }

  /** The line of a connection that has ended. */
  write(record: AccessRecord): void {
    if (this.#options.access === 'off') return;
    this.#enqueue(this.#options.format === 'json' ? jsonLine(record) : textLine(record));
  }

  /** The line of an HTTP request that is over. */
  writeRequest(record: RequestRecord): void {
    if (this.#options.access === 'off') return;
    this.#enqueue(this.#options.format === 'json' ? requestJson(record) : requestLine(record));
  }

  /** True when connections and requests leave lines: ask before building their records. */
  get isOn(): boolean {
    return this.#options.access === 'on';
  }

  /** The line of a connection that was just joined: `kind` is `opening`, the rest as in a record. */
  writeOpening(record: AccessRecord): void {
    if (!this.logsOpenings) return;
    const json = this.#options.format === 'json';
    this.#enqueue(json ? JSON.stringify({ ...record, kind: 'opening' }) : `${textLine(record)} (opened)`);
  }

  /** Writes what waits, synchronously. For the exit of the thread. */
  flush(): void {
    this.#stopTimer();
    const rest = this.#inFlight === null || this.#writing ? [] : [this.#inFlight.subarray(this.#inFlightAt)];
    this.#inFlight = null;
    for (const bytes of rest) if (!writeWhole(this.#fd, bytes)) this.#dropped++;
    for (const line of this.#queue) if (!writeWhole(this.#fd, Buffer.from(line))) this.#dropped++;
    this.#queue = [];
    this.#queueBytes = 0;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.flush();
    if (this.#fd !== 1) closeSync(this.#fd);
  }

  #enqueue(line: string): void {
    if (this.#closed) return;
    if (this.#queue.length >= this.#queueLinesMax) {
      this.#dropped++;
      return;
    }
    const text = `${line}\n`;
    this.#queue.push(text);
    this.#queueBytes += Buffer.byteLength(text);
    if (this.#inFlight === null) this.#await();
  }

  /** A whole batch is written at once, less than that when it has waited: each write costs a trip to another thread. */
  #await(): void {
    if (this.#queueBytes >= this.#batchBytes) {
      this.#stopTimer();
      this.#next();
    } else if (this.#queue.length > 0 && this.#timer === null) this.#arm(this.#flushMs);
  }

  #arm(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#next();
    }, ms);
    this.#timer.unref();
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #next(): void {
    if (this.#closed) return;
    if (this.#inFlight === null) {
      if (this.#queue.length === 0) return;
      this.#inFlight = this.#takeBatch();
      this.#inFlightAt = 0;
    }
    const batch = this.#inFlight;
    this.#writing = true;
    write(this.#fd, batch, this.#inFlightAt, batch.length - this.#inFlightAt, null, (error, written) => {
      this.#writing = false;
      // `flush` may have written it meanwhile.
      if (this.#inFlight !== batch) return;
      if (error?.code === 'EAGAIN') return this.#arm(retryMs);
      if (error !== null) {
        this.#dropped++;
        this.#inFlight = null;
      } else if (this.#inFlightAt + written < batch.length) this.#inFlightAt += written;
      else this.#inFlight = null;
      if (this.#inFlight === null) this.#await();
      else this.#next();
    });
  }

  #takeBatch(): Buffer {
    let bytes = 0;
    let count = 0;
    if (this.#queueBytes <= this.#batchBytes) {
      count = this.#queue.length;
      bytes = this.#queueBytes;
    } else {
      for (const line of this.#queue) {
        const length = Buffer.byteLength(line);
        if (count > 0 && bytes + length > this.#batchBytes) break;
        bytes += length;
        count++;
      }
    }
    this.#queueBytes -= bytes;
    return Buffer.from(this.#queue.splice(0, count).join(''));
  }
}

/** The record as JSON on one line. */
export function jsonLine(record: AccessRecord): string {
  return JSON.stringify(record);
}

/** `TIME outbound shop/web -> shop/cart 10.0.0.2:80 (cart.shop.svc…) mtls 120 B up, 300 B down, 12 ms, -`. */
export function textLine(record: AccessRecord): string {
  const { destination } = record;
  const service = destination.service === null ? '' : ` (${destination.service})`;
  const who = record.transport === 'plaintext' ? '' : ` as ${record.source.identity ?? '?'}`;
  const decided = record.decidedBy === null ? '' : ` by ${record.decidedBy}`;
  // "DENY by x: denied by x" says it twice.
  const isSaid = record.error === null || record.error === `denied by ${record.decidedBy}`;
  const error = isSaid ? '' : `: ${record.error}`;
  return (
    `${record.time} ${record.direction} ${nameOf(record.source)} -> ${nameOf(destination)}${service} ` +
    `${record.transport}${who}, ${record.bytesSent} B up, ${record.bytesReceived} B down, ` +
    `${record.durationMs} ms, ${record.flag}${decided}${error}${hitsText(record)}`
  );
}

/** `TIME GET cart/items 503 shop/web 10.0.0.1:1 -> shop/cart-1 10.0.0.2:80 (SERVICE) via ROUTE, 0 B up, …, FLAG`. */
export function requestLine(record: RequestRecord): string {
  const { destination, method, authority, path, status, grpcStatus, attempts } = record;
  const outcome = grpcStatus === null ? `${status}` : `${status}/grpc ${grpcStatus}`;
  const tries = attempts > 1 ? `, ${attempts} tries` : '';
  const decided = record.decidedBy === null ? '' : ` by ${record.decidedBy}`;
  const error = record.error === null || record.error === `denied by ${record.decidedBy}` ? '' : `: ${record.error}`;
  return (
    `${record.time} ${method ?? '?'} ${authority ?? ''}${path ?? ''} ${outcome} ${nameOf(record.source)} -> ` +
    `${nameOf(destination)} (${destination.service ?? '-'}) via ${record.route ?? '-'}, ` +
    `${record.bytesSent} B up, ${record.bytesReceived} B down, ${record.durationMs} ms${tries}, ` +
    `${record.flag}${decided}${error}${hitsText(record)}`
  );
}

function hitsText({ policyHits = [] }: AccessRecord | RequestRecord): string {
  return policyHits.length === 0 ? '' : ` [${policyHits.join(', ')}]`;
}

function nameOf(peer: PeerView): string {
  return peer.workload === null ? peer.address : `${peer.namespace ?? ''}/${peer.workload} ${peer.address}`;
}

/** Patience with a pipe that is full at exit: a few retries, then the line is lost. */
function writeWhole(fd: number, line: Buffer): boolean {
  let at = 0;
  for (let tries = 0; at < line.length && tries < 100; ) {
    try {
      at += writeSync(fd, line, at);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) return false;
      tries++;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
  return at === line.length;
}

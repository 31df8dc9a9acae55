// Tries raw TCP handles at start, over loopback: connect, read into our memory, write more than the kernel takes at
// once, half-close, reset; accepted as handles too. Whatever is not as it should be makes the thread use `net.Socket`.
// Then the same with streams that a death resets (`death-reset.ts`); where that is not as it should be, they are not.

import { type AddressInfo, createServer, type Server } from 'node:net';
import { MeshError, messageOf } from '../base/errors.ts';
import { type ByteStreamHandler, Took } from './byte-stream.ts';
import { connectRaw } from './connect-tcp.ts';
import { forgetDeathResets, useDeathResets } from './death-reset.ts';
import { type RawBinding, rawBinding } from './raw-handles.ts';
import { acceptRaw, type RawStream } from './raw-stream.ts';
import { rawForbidden, setTcpBackend, type TcpBackend } from './tcp-backend.ts';
import type { TcpStream } from './tcp-stream.ts';

/** A thread that starts on a busy machine is not to go without for its whole life. */
const testMs = 5_000;
const echoBytes = 300_000;

let chosen: Promise<TcpBackend> | null = null;

/** Chooses the back end of this thread, once; never rejects. Until it resolves, connections are sockets. */
export function chooseTcpBackend(): Promise<TcpBackend> {
  chosen ??= choose();
  return chosen;
}

async function choose(): Promise<TcpBackend> {
  const forbidden = rawForbidden();
  if (forbidden !== '') return setTcpBackend(forbidden);
  const raw = rawBinding();
  if (raw === null) return setTcpBackend('the bindings of this Node are not as expected');
  const server = createServer();
  try {
    await listening(server);
    await echoes(raw, server);
    await resets(raw, server);
    return setTcpBackend('', await deathResetFault(raw, server));
  } catch (error) {
    return setTcpBackend(messageOf(error));
  } finally {
    server.close();
  }
}

/** Why a death is no reset in this thread; '' where it is. */
async function deathResetFault(raw: RawBinding, server: Server): Promise<string> {
  if (!useDeathResets()) return 'this Node cannot call the C library';
  try {
    await echoes(raw, server);
    await resets(raw, server);
    await closes(raw, server);
    return '';
  } catch (error) {
    forgetDeathResets();
    return messageOf(error);
  }
}

function listening(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      server.unref();
      resolve();
    });
  });
}

/** What one side of a test connection saw. */
class Witness implements ByteStreamHandler {
  readonly stream: TcpStream;
  readonly #onByte: (chunk: Buffer) => number;
  readonly #settle: (witness: Witness) => void;
  bytes = 0;
  sum = 0;
  ended = false;
  error: Error | null = null;
  wasReset = false;

  constructor(stream: TcpStream, onByte: (chunk: Buffer) => number, settle: (witness: Witness) => void) {
    this.stream = stream;
    this.#onByte = onByte;
    this.#settle = settle;
  }

  onData(chunk: Buffer): number {
    this.bytes += chunk.length;
    for (const byte of chunk) this.sum = (this.sum * 31 + byte) | 0;
    return this.#onByte(chunk);
  }

  onEnd(): void {
    this.ended = true;
    this.stream.end();
  }

  onDrain(): void {}

  onClose(error: Error | null, wasReset: boolean): void {
    this.error = error;
    this.wasReset = wasReset;
    this.#settle(this);
  }
}

/** Opens a connection, runs `run` on both sides, and resolves with what both saw. */
function pair(
  raw: RawBinding,
  server: Server,
  start: (client: RawStream, accepted: RawStream, settle: (witness: Witness) => void) => void,
): Promise<readonly Witness[]> {
  return new Promise((resolve, reject) => {
    const open: TcpStream[] = [];
    const seen: Witness[] = [];
    const give = (reason: string): void => {
      clearTimeout(timer);
      for (const stream of open) stream.destroy();
      reject(fault(reason));
    };
    const timer = setTimeout(() => give('no end of the self-test'), testMs);
    const settle = (witness: Witness): void => {
      seen.push(witness);
      if (seen.length < 2) return;
      clearTimeout(timer);
      resolve(seen);
    };
    const opened = (stream: TcpStream | null): void => {
      if (stream === null) {
        give('no connection');
        return;
      }
      open.push(stream);
      // The accepted one first or last: told apart by the port that the server has.
      const { port } = server.address() as AddressInfo;
      if (open.length === 2) {
        const client = open.find((one) => one.remotePort === port);
        const accepted = open.find((one) => one.localPort === port);
        if (client === undefined || accepted === undefined) give('wrong addresses');
        else start(client as RawStream, accepted as RawStream, settle);
      }
    };
    if (!acceptRaw(raw, server, opened, {})) give('a listener that is not as expected');
    const { port } = server.address() as AddressInfo;
    connectRaw({ host: '127.0.0.1', port, timeoutMs: testMs }, (_error, stream) => opened(stream));
  });
}

function fault(reason: string): MeshError {
  return new MeshError('INTERNAL', { reason: `raw handles: ${reason}` });
}

async function echoes(raw: RawBinding, server: Server): Promise<void> {
  const sent = Buffer.alloc(echoBytes);
  for (let i = 0; i < sent.length; i++) sent[i] = i * 7;
  const witnesses = await pair(raw, server, (client, accepted, settle) => {
    accepted.start(new Witness(accepted, (chunk) => accepted.write(chunk) & Took.Retained, settle));
    client.start(new Witness(client, () => Took.All, settle));
    client.write(sent);
    client.end();
  });
  const [one, other] = witnesses as [Witness, Witness];
  const fine = [one, other].every((seen) => seen.ended && seen.error === null && seen.bytes === echoBytes);
  if (!fine || one.sum !== other.sum) throw fault('an echo went wrong');
}

type Finish = (stream: TcpStream) => void;

/** Lets the client, then the accepted side, end by `finish` when bytes have passed; the other must see a reset. */
async function abrupt(raw: RawBinding, server: Server, what: string, finish: Finish): Promise<void> {
  for (const side of ['client', 'accepted'] as const) {
    let resetter: TcpStream | null = null;
    const witnesses = await pair(raw, server, (client, accepted, settle) => {
      resetter = side === 'client' ? client : accepted;
      const onByte = (): number => {
        finish(resetter!);
        return Took.All;
      };
      accepted.start(new Witness(accepted, onByte, settle));
      client.start(new Witness(client, () => Took.All, settle));
      client.write(Buffer.from('x'));
    });
    const victim = witnesses.find((witness) => witness.stream !== resetter);
    if (victim?.wasReset !== true) throw fault(`${what} by the ${side} side did not look like a reset`);
  }
}

function resets(raw: RawBinding, server: Server): Promise<void> {
  return abrupt(raw, server, 'a reset', (stream) => stream.reset());
}

/** While a FIN is under way no handle can be reset, and is closed as by a death. */
function closes(raw: RawBinding, server: Server): Promise<void> {
  return abrupt(raw, server, 'a close', (stream) => {
    stream.end();
    stream.reset();
  });
}

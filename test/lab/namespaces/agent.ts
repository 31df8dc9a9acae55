// Runs inside one network namespace of a test: listens, connects on demand, and tells what it saw, one JSON line each
// way. Started by `namespaces.ts` with the ports to listen on; commands come on standard input.
import { connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { clientAddressMark } from '../../../src/capture/ruleset.ts';
import { TransparentSockets } from '../../../src/io/transparent-socket.ts';

interface Command {
  readonly id: number;
  readonly host: string;
  readonly port: number;
  /** Connects from this address, which may be another's. */
  readonly from?: string;
  /** And from this port. */
  readonly fromPort?: number;
  /** Keeps the connection open under this name; without it the answer is read to its end. */
  readonly hold?: string;
  /** Sends this on a held connection instead of connecting. */
  readonly on?: string;
  readonly text?: string;
}

const [name = '', ...ports] = process.argv.slice(2);
const sockets = TransparentSockets.load();
let nextPort = 2_000;
/** A connection may wait for a proxy that starts, on a machine that is busy. */
const answerTimeoutMs = 10_000;
const held = new Map<string, Socket>();
const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);

for (const port of ports) {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.write(`${JSON.stringify({ at: name, port: Number(port), sees: plain(socket.remoteAddress) })}\n`);
    socket.on('data', (chunk) => socket.write(chunk));
    socket.on('end', () => socket.end());
  });
  server.listen({ host: '::', port: Number(port) }, () => say({ listening: Number(port) }));
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const command = JSON.parse(line) as Command;
  if (command.on !== undefined) send(command, held.get(command.on));
  else dial(command);
});

function dial(command: Command): void {
  const { host, port } = command;
  const socket = connect({ host, port, autoSelectFamily: false, ...clientAddress(command) });
  socket.resume(); // pauseOnCreate
  let text = '';
  let answered = false;
  const answer = (result: object) => {
    if (!answered) say({ id: command.id, ...result });
    answered = true;
  };
  socket.setTimeout(answerTimeoutMs, () => {
    answer({ error: 'TIMEOUT' });
    socket.destroy();
  });
  socket.on('error', (error: NodeJS.ErrnoException) => answer({ error: error.code ?? error.message }));
  socket.on('data', (chunk) => {
    text += chunk.toString();
    if (!text.includes('\n')) return;
    answer({ text: text.slice(0, text.indexOf('\n')) });
    if (command.hold === undefined) socket.end();
    else held.set(command.hold, socket);
  });
  socket.on('close', () => answer({ error: 'CLOSED' }));
}

/** What makes a connection one from a foreign address, as the proxy makes them. */
function clientAddress({ from, fromPort }: Command): object {
  if (from === undefined) return fromPort === undefined ? {} : { localPort: fromPort };
  const fd = sockets?.create(from.includes(':') ? 6 : 4, clientAddressMark);
  return { fd, localAddress: from, localPort: fromPort ?? nextPort++, pauseOnCreate: true };
}

function send(command: Command, socket: Socket | undefined): void {
  if (socket === undefined || socket.destroyed) {
    say({ id: command.id, error: 'NOT_OPEN' });
    return;
  }
  socket.setTimeout(0);
  const wanted = command.text ?? '';
  let received = '';
  const done = (result: object) => {
    socket
      .removeAllListeners('data')
      .removeAllListeners('error')
      .removeAllListeners('close')
      .on('error', () => {});
    say({ id: command.id, ...result });
  };
  socket.removeAllListeners('data').removeAllListeners('error').removeAllListeners('close');
  socket.on('error', (error: NodeJS.ErrnoException) => done({ error: error.code ?? error.message }));
  socket.on('close', () => done({ error: 'CLOSED' }));
  socket.on('data', (chunk) => {
    received += chunk.toString();
    if (received.length >= wanted.length) done({ text: received === wanted ? 'echoed' : 'garbled' });
  });
  socket.write(wanted);
}

function plain(address: string | undefined): string {
  return (address ?? '').replace(/^::ffff:/, '');
}

// The channels of `pods/exec` over SPDY: the client opens a stream for each, and says by a header which it is.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ExecRequest } from './containers.ts';
import type { ChannelName, ExecChannels, ExecInput } from './exec.ts';
import { badRequest } from './failure.ts';
import { SpdySession } from './spdy.ts';

const protocol = 'v4.channel.k8s.io';
const protocolHeader = 'x-stream-protocol-version';
const openTimeoutMs = 30_000;

/** True for a request that wants to speak SPDY. */
export function isSpdy(incoming: IncomingMessage): boolean {
  return incoming.headers.upgrade?.toLowerCase() === 'spdy/3.1';
}

/**
 * Accepts the connection; `join` is told the client's channels when all of them are open. Throws 400 for a protocol
 * that nobody speaks.
 */
export function serveExecSpdy(
  incoming: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  request: ExecRequest,
  join: (channels: ExecChannels) => ExecInput,
): void {
  // The header comes once per protocol, which Node joins by commas.
  const offered = String(incoming.headers[protocolHeader] ?? '').split(/\s*,\s*/);
  if (!offered.includes(protocol)) throw badRequest(`unable to upgrade: the server speaks ${protocol}`);
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: SPDY/3.1', 'Connection: Upgrade'];
  socket.write(`${lines.join('\r\n')}\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`);
  const wanted = wantedChannels(request);
  const streams = new Map<string, number>();
  let input: ExecInput | null = null;
  const timer = setTimeout(() => socket.destroy(), openTimeoutMs);
  const session = new SpdySession(socket, head, {
    opened: (stream, headers) => {
      streams.set(headers.get('streamtype') ?? '', stream);
      if (input !== null || !wanted.every((name) => streams.has(name))) return;
      clearTimeout(timer);
      input = join({
        write: (channel, bytes) => session.write(streams.get(channel) ?? 0, bytes),
        finish: () => {
          for (const channel of wanted) if (channel !== 'stdin') session.end(streams.get(channel)!);
          session.close();
        },
      });
    },
    data: (stream, bytes) => {
      if (stream === streams.get('stdin')) input?.input(bytes);
    },
    ended: (stream) => {
      if (stream === streams.get('stdin')) input?.inputEnded();
    },
    drained: () => input?.drained(),
    gone: () => {
      clearTimeout(timer);
      input?.gone();
    },
  });
}

function wantedChannels({ stdin, stdout, stderr }: ExecRequest): ChannelName[] {
  const optional = { stdin, stdout, stderr };
  return ['error', ...(['stdin', 'stdout', 'stderr'] as const).filter((name) => optional[name])];
}

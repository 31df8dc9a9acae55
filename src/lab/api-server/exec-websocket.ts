// The channels of `pods/exec` over WebSocket: each message begins with the number of its channel (`v4.channel.k8s.io`);
// with `v5.channel.k8s.io` a client can also end one, which is how standard input ends.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  readWebSocketFrame,
  webSocketClose,
  webSocketCloseFrame,
  webSocketFrame,
  webSocketOpcode,
  webSocketSwitch,
} from '../websocket.ts';
import type { ChannelName, ExecChannels, ExecInput } from './exec.ts';
import { badRequest } from './failure.ts';

const protocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'] as const;
const numbers = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4 } as const satisfies Record<ChannelName, number>;
const closeChannel = 255;
const messageMaxBytes = 4 * 1024 * 1024;
const binary = 0x80 | webSocketOpcode.binary;

/** True for a request that wants to become a WebSocket. */
export function isWebSocket(incoming: IncomingMessage): boolean {
  return incoming.headers.upgrade?.toLowerCase() === 'websocket';
}

/** Accepts the connection; `join` is told the client's channels. Throws 400 for a subprotocol that nobody speaks. */
export function serveExecWebSocket(
  incoming: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  join: (channels: ExecChannels) => ExecInput,
): void {
  const offered = String(incoming.headers['sec-websocket-protocol'] ?? '').split(/\s*,\s*/);
  const protocol = protocols.find((one) => offered.includes(one));
  const key = incoming.headers['sec-websocket-key'];
  if (protocol === undefined || key === undefined) {
    throw badRequest(`unable to upgrade: the server speaks ${protocols.join(', ')}`);
  }
  socket.write(webSocketSwitch(key, protocol));
  const input = join({
    write: (channel, bytes) =>
      socket.write(webSocketFrame(binary, Buffer.concat([Buffer.from([numbers[channel]]), bytes]))),
    finish: () => socket.end(webSocketCloseFrame(webSocketClose.normal)),
  });
  receive(socket, head, input);
}

function receive(socket: Duplex, head: Buffer, input: ExecInput): void {
  let buffered: Buffer = head;
  let parts: Buffer[] = [];
  const onMessage = (message: Buffer): void => {
    if (message[0] === numbers.stdin) input.input(message.subarray(1));
    else if (message[0] === closeChannel && message[1] === numbers.stdin) input.inputEnded();
  };
  const take = (): boolean => {
    const frame = readWebSocketFrame(buffered, messageMaxBytes);
    if (frame === null || typeof frame === 'number') {
      if (frame !== null) socket.end(webSocketCloseFrame(frame));
      return false;
    }
    buffered = buffered.subarray(frame.length);
    const { opcode, payload, isLast } = frame;
    if (opcode === webSocketOpcode.close) socket.end(webSocketFrame(0x80 | opcode, payload));
    else if (opcode === webSocketOpcode.ping) socket.write(webSocketFrame(0x80 | webSocketOpcode.pong, payload));
    else if (opcode !== webSocketOpcode.pong) {
      parts.push(payload);
      if (!isLast) return true;
      onMessage(Buffer.concat(parts));
      parts = [];
    }
    return true;
  };
  const onData = (chunk: Buffer): void => {
    buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk]);
    while (buffered.length > 0 && take());
  };
  socket.on('data', onData);
  socket.on('drain', () => input.drained());
  socket.on('close', () => input.gone());
  socket.on('end', () => socket.end());
  if (head.length > 0) onData(Buffer.alloc(0));
}

// The subresource `portforward` of pods over WebSocket, in the protocol `v4.channel.k8s.io`: the first byte of a frame
// is a channel, 2N is the data of the Nth port that the query names and 2N+1 what went wrong with it. The first frame
// on each channel has the port's number. A half-close cannot be said: who has answered all closes.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { messageOf } from '../../base/errors.ts';
import {
  readWebSocketFrame,
  webSocketClose,
  webSocketCloseFrame,
  webSocketFrame,
  webSocketOpcode,
  webSocketSwitch,
} from '../websocket.ts';
import { badRequest } from './failure.ts';
import type { ResourcePath } from './request.ts';

export const portForwardProtocol = 'v4.channel.k8s.io';
const binary = 0x80 | webSocketOpcode.binary;
const pong = 0x80 | webSocketOpcode.pong;
const messageMaxBytes = 16 * 1024 * 1024;
const portsMax = 16;

/** A connection to a port of a pod, as from within it. */
export type PortDialer = (port: number) => Promise<Duplex>;

/**
 * Takes the request over and joins it with the ports that its query names. Throws an ApiFailure for what is no such
 * request, before anything was answered.
 */
export function servePortForward(request: IncomingMessage, socket: Duplex, head: Buffer, dial: PortDialer): void {
  const url = new URL(request.url ?? '/', 'https://api');
  // The first is what an API server is asked with, the second what it asks a kubelet with.
  const named = [...url.searchParams.getAll('ports'), ...url.searchParams.getAll('port')];
  const ports = named.flatMap((each) => each.split(',')).map(Number);
  const key = request.headers['sec-websocket-key'];
  if (request.headers.upgrade?.toLowerCase() !== 'websocket' || key === undefined) {
    throw badRequest(`only ${portForwardProtocol} over WebSocket is spoken here, which ambientctl does`);
  }
  const offered = String(request.headers['sec-websocket-protocol'] ?? '').split(/\s*,\s*/);
  if (!offered.includes(portForwardProtocol)) throw badRequest(`only ${portForwardProtocol} is spoken here`);
  const isPort = (port: number): boolean => Number.isInteger(port) && port > 0 && port < 65_536;
  if (ports.length === 0 || ports.length > portsMax || !ports.every(isPort)) {
    throw badRequest('query parameter "ports" is required');
  }
  socket.write(webSocketSwitch(key, portForwardProtocol));
  const forwards = ports.map((port, at) => new PortForward(socket, at * 2, port, dial));
  const over = (): void => {
    for (const forward of forwards) forward.close();
  };
  socket.on('error', () => socket.destroy());
  socket.on('close', over);
  socket.on('end', () => socket.end());
  let buffered = head;
  const onData = (chunk: Buffer): void => {
    buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk]);
    while (buffered.length > 0) {
      const frame = readWebSocketFrame(buffered, messageMaxBytes);
      if (typeof frame === 'number') socket.end(webSocketCloseFrame(frame));
      if (frame === null || typeof frame === 'number') return;
      buffered = buffered.subarray(frame.length);
      const { opcode, payload } = frame;
      if (opcode === webSocketOpcode.close) socket.end(webSocketCloseFrame(webSocketClose.normal));
      else if (opcode === webSocketOpcode.ping) socket.write(webSocketFrame(pong, payload));
      else if (opcode !== webSocketOpcode.pong && payload.length > 0)
        forwards[payload[0]! >> 1]?.take(payload.subarray(1));
    }
  };
  socket.on('data', onData);
  if (head.length > 0) onData(Buffer.alloc(0));
}

/** True for the path of the subresource of a pod. */
export function isPortForward({ group, plural, subresource, name }: ResourcePath): boolean {
  return group === '' && plural === 'pods' && subresource === 'portforward' && name !== null;
}

class PortForward {
  readonly #socket: Duplex;
  readonly #channel: number;
  readonly #early: Buffer[] = [];
  #target: Duplex | null = null;
  #isClosed = false;

  constructor(socket: Duplex, channel: number, port: number, dial: PortDialer) {
    this.#socket = socket;
    this.#channel = channel;
    const number = Buffer.alloc(2);
    number.writeUInt16LE(port);
    this.#send(channel, number);
    this.#send(channel + 1, number);
    dial(port).then(
      (target) => this.#join(target),
      (error: unknown) => this.#fail(`failed to connect to port ${port} inside the pod: ${messageOf(error)}`),
    );
  }

  take(data: Buffer): void {
    if (this.#target === null) this.#early.push(data);
    else if (!this.#target.write(data)) {
      this.#socket.pause();
      this.#target.once('drain', () => this.#socket.resume());
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#target?.destroy();
  }

  #join(target: Duplex): void {
    this.#target = target;
    if (this.#isClosed) target.destroy();
    target.on('error', (error) => this.#fail(messageOf(error)));
    target.on('data', (data: Buffer) => {
      if (this.#send(this.#channel, data)) return;
      target.pause();
      this.#socket.once('drain', () => target.resume());
    });
    target.on('end', () => this.#end());
    for (const data of this.#early.splice(0)) target.write(data);
  }

  #fail(reason: string): void {
    this.#send(this.#channel + 1, Buffer.from(reason));
    this.#end();
  }

  #end(): void {
    if (!this.#socket.writableEnded) this.#socket.end(webSocketCloseFrame(webSocketClose.normal));
  }

  #send(channel: number, data: Buffer): boolean {
    if (this.#socket.writableEnded || this.#socket.destroyed) return true;
    return this.#socket.write(webSocketFrame(binary, Buffer.concat([Buffer.from([channel]), data])));
  }
}

// gRPC on the echo's HTTP/2 port: the echo service of Istio's test application, and the standard health service for
// probes. The few messages are written and read by hand: one string field, one enum field.
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { EchoState } from './http.ts';
import { echoLines } from './lines.ts';
import { peerOf } from './peer.ts';

const messageMaxBytes = 64 * 1024 * 1024;
const status = { ok: 0, invalidArgument: 3, resourceExhausted: 8, unimplemented: 12 } as const;

/**
 * Answers one gRPC call: `proto.EchoTestService/Echo`, `grpc.health.v1.Health/Check` and `/Watch`; anything else is
 * UNIMPLEMENTED (12).
 */
export function handleGrpc(state: EchoState, request: Http2ServerRequest, response: Http2ServerResponse): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= messageMaxBytes) chunks.push(chunk);
    // A watcher's stream stays open, so the answer must not wait for its end.
    if (request.url === '/grpc.health.v1.Health/Watch' && bytes >= 5) respond();
  });
  request.on('end', () => respond());
  let answered = false;
  const respond = (): void => {
    if (answered || response.destroyed) return;
    answered = true;
    const message = bytes > messageMaxBytes ? null : unframe(Buffer.concat(chunks));
    if (bytes > messageMaxBytes)
      fail(response, status.resourceExhausted, `message is longer than ${messageMaxBytes} bytes`);
    else if (message === null)
      fail(response, status.invalidArgument, 'the body is no single uncompressed gRPC message');
    else dispatch(state, request, response, message);
  };
}

function dispatch(state: EchoState, request: Http2ServerRequest, response: Http2ServerResponse, message: Buffer): void {
  state.log(`Echoing back request made to ${request.url} to client (${peerOf(request.socket)})`);
  switch (request.url) {
    case '/proto.EchoTestService/Echo':
      send(response, stringField(echoText(state, request, message)));
      break;
    case '/grpc.health.v1.Health/Check':
      send(response, health(state));
      break;
    case '/grpc.health.v1.Health/Watch':
      watch(state, response);
      break;
    default:
      fail(response, status.unimplemented, `unknown method ${request.url}`);
  }
}

function echoText(state: EchoState, request: Http2ServerRequest, message: Buffer): string {
  const { socket, rawHeaders, authority } = request;
  const seen = { host: authority, url: null, method: 'POST', proto: 'GRPC', peer: peerOf(socket), rawHeaders };
  const lines = echoLines(state.identity, { ...seen, port: socket.localPort, alpn: null });
  return `StatusCode=200\n${lines}Echo=${readStringField(message)}\n`;
}

function health(state: EchoState): Buffer {
  return Buffer.from([0x08, state.serving ? 1 : 2]); // HealthCheckResponse.status: 1 SERVING, 2 NOT_SERVING
}

function watch(state: EchoState, response: Http2ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/grpc' });
  response.write(frame(health(state)));
}

function send(response: Http2ServerResponse, message: Buffer): void {
  response.writeHead(200, { 'content-type': 'application/grpc' });
  response.addTrailers({ 'grpc-status': String(status.ok) });
  response.end(frame(message));
}

function fail(response: Http2ServerResponse, code: number, message: string): void {
  response.writeHead(200, { 'content-type': 'application/grpc', 'grpc-status': String(code), 'grpc-message': message });
  response.end();
}

/** A message in gRPC's length-prefixed frame, uncompressed. */
export function frame(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** The one message in `body`, or null when it is compressed, cut short, or not alone. */
export function unframe(body: Buffer): Buffer | null {
  if (body.length < 5 || body[0] !== 0 || body.readUInt32BE(1) !== body.length - 5) return null;
  return body.subarray(5);
}

/** A message whose field 1 is the string `text`. */
export function stringField(text: string): Buffer {
  const value = Buffer.from(text);
  const head = [0x0a];
  for (let length = value.length; ; length >>>= 7) {
    if (length < 0x80) {
      head.push(length);
      break;
    }
    head.push((length & 0x7f) | 0x80);
  }
  return Buffer.concat([Buffer.from(head), value]);
}

/** Field 1 of `message` when that is a string and comes first; '' otherwise. */
export function readStringField(message: Buffer): string {
  if (message[0] !== 0x0a) return '';
  let length = 0;
  let at = 1;
  for (let shift = 0; shift < 28; shift += 7, at++) {
    const byte = message[at] ?? 0;
    length += (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return message.subarray(at + 1, at + 1 + length).toString('utf8');
}

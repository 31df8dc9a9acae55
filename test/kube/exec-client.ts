// `kubectl exec` by hand, over WebSocket and over SPDY: what the lab's API server has to understand, and nothing more.
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import { constants, createDeflate } from 'node:zlib';
import { spdyDictionary } from '../../src/lab/api-server/spdy-dictionary.ts';
import type { Target } from './api-client.ts';

/** What came of a program: 101, and then what it wrote and how it ended; or a refusal with its body. */
export interface ExecAnswer {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Of the channel `error`, or the body of a refusal. */
  readonly said: string;
}

/** Runs `query` (`command=…&stdout=1`) in a pod; `input` is its standard input, which then ends. */
export type Execute = (api: Target, path: string, input: string | null) => Promise<ExecAnswer>;

const names = ['stdin', 'stdout', 'stderr', 'error'] as const;

async function upgraded(api: Target, path: string, headers: readonly string[]): Promise<[TLSSocket, string, Buffer]> {
  const { hostname, port } = new URL(api.url);
  const socket = connect({ host: hostname, port: Number(port), ...(api.caPem === undefined ? {} : { ca: api.caPem }) });
  await once(socket, 'secureConnect');
  const lines = [`Host: ${hostname}`, `Authorization: Bearer ${api.token}`, 'Connection: Upgrade', ...headers];
  const method = headers.some((line) => line.startsWith('Sec-WebSocket')) ? 'GET' : 'POST';
  socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
  let seen: Buffer = Buffer.alloc(0);
  for (let end = -1; ; end = seen.indexOf('\r\n\r\n')) {
    if (end >= 0) return [socket, seen.toString('latin1', 0, end), seen.subarray(end + 4)];
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    seen = Buffer.concat([seen, chunk]);
  }
}

async function whole(socket: TLSSocket, head: Buffer): Promise<Buffer> {
  const chunks = [head];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function refusal(socket: TLSSocket, head: string, rest: Buffer): Promise<ExecAnswer | null> {
  const status = Number(head.split(' ')[1]);
  if (status === 101) return null;
  return { status, stdout: '', stderr: '', said: (await whole(socket, rest)).toString() };
}

/** Begins as `overWebSocket` does, and leaves when something has been written, or when `until` has come to pass. */
export async function leaveWebSocket(api: Target, path: string, until?: Promise<unknown>): Promise<void> {
  const [socket, , rest] = await upgraded(api, path, webSocketOffer);
  if (rest.length === 0) await once(socket, 'data');
  if (until === undefined) socket.destroy();
  else await Promise.all([until, socket.closed ? null : once(socket, 'close')]);
}

const webSocketOffer = [
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  `Sec-WebSocket-Key: ${Buffer.alloc(16, 7).toString('base64')}`,
  'Sec-WebSocket-Protocol: v5.channel.k8s.io',
];

/** Over WebSocket, `v5.channel.k8s.io`. */
export const overWebSocket: Execute = async (api, path, input) => {
  const [socket, head, rest] = await upgraded(api, path, webSocketOffer);
  const refused = await refusal(socket, head, rest);
  if (refused !== null) return refused;
  const send = (first: number, payload: Buffer): void => {
    // A mask of zeros is one.
    const length = Buffer.from([first, 0xfe, 0, 0]);
    length.writeUInt16BE(payload.length, 2);
    socket.write(Buffer.concat([length, Buffer.alloc(4), payload]));
  };
  if (input !== null) {
    const bytes = Buffer.from(input);
    // In two parts, as large messages come.
    send(0x02, Buffer.concat([Buffer.from([0]), bytes.subarray(0, 3)]));
    send(0x80, bytes.subarray(3));
    send(0x82, Buffer.from([255, 0]));
  }
  const texts = ['', '', '', ''];
  const all = await whole(socket, rest);
  for (let at = 0; at < all.length; ) {
    let length = all[at + 1]!;
    let start = at + 2;
    if (length === 126) {
      length = all.readUInt16BE(start);
      start += 2;
    } else if (length === 127) {
      length = Number(all.readBigUInt64BE(start));
      start += 8;
    }
    if ((all[at]! & 0x0f) === 2) texts[all[start]!] += all.toString('utf8', start + 1, start + length);
    at = start + length;
  }
  return { status: 101, stdout: texts[1]!, stderr: texts[2]!, said: texts[3]! };
};

/** Over SPDY/3.1, `v4.channel.k8s.io`. */
export const overSpdy: Execute = async (api, path, input) => {
  const offer = ['X-Stream-Protocol-Version: v4.channel.k8s.io', 'X-Stream-Protocol-Version: v3.channel.k8s.io'];
  const [socket, head, rest] = await upgraded(api, path, ['Upgrade: SPDY/3.1', 'Content-Length: 0', ...offer]);
  const refused = await refusal(socket, head, rest);
  if (refused !== null) return refused;
  const query = new URL(path, 'https://api').searchParams;
  const wanted = names.filter((name) => name === 'error' || query.get(name) === '1').reverse();
  const deflate = createDeflate({ dictionary: spdyDictionary });
  const streams = new Map<number, string>();
  for (const [index, name] of wanted.entries()) {
    const id = 2 * index + 1;
    streams.set(id, name);
    const block = await headerBlock(deflate, name);
    const frame = Buffer.alloc(18);
    frame.writeUInt32BE(0x80_03_00_01, 0);
    frame.writeUInt32BE(10 + block.length, 4);
    frame.writeUInt32BE(id, 8);
    socket.write(Buffer.concat([frame, block]));
    if (name === 'stdin') socket.write(dataFrame(id, Buffer.from(input ?? '')));
  }
  const texts: Record<string, string> = { stdout: '', stderr: '', error: '' };
  const all = await whole(socket, rest);
  for (let at = 0; at < all.length; ) {
    const first = all.readUInt32BE(at);
    const end = at + 8 + (all.readUInt32BE(at + 4) & 0xff_ff_ff);
    const name = streams.get(first);
    if (name !== undefined) texts[name] += all.toString('utf8', at + 8, end);
    at = end;
  }
  return { status: 101, stdout: texts['stdout']!, stderr: texts['stderr']!, said: texts['error']! };
};

function dataFrame(id: number, bytes: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(id, 0);
  head.writeUInt32BE(bytes.length, 4);
  head[4] = 1; // and its end
  return Buffer.concat([head, bytes]);
}

function headerBlock(deflate: ReturnType<typeof createDeflate>, name: string): Promise<Buffer> {
  const word = (text: string): Buffer => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(text.length);
    return Buffer.concat([length, Buffer.from(text)]);
  };
  const block = Buffer.concat([Buffer.from([0, 0, 0, 1]), word('streamtype'), word(name)]);
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
    };
    deflate.on('data', onData);
    deflate.write(block);
    deflate.flush(constants.Z_SYNC_FLUSH, () =>
      setImmediate(() => {
        deflate.off('data', onData);
        resolve(Buffer.concat(chunks));
      }),
    );
  });
}

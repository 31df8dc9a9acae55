// What nginx makes of the bytes that our HTTP/1.1 is tested with: it may take no request that we refuse for a reason
// that is not listed, and none that we take may be another one for it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { it } from 'node:test';
import fc from 'fast-check';
import { ensureTools } from '../../native-free/tools.ts';
import { messages } from '../../src/http/h1/testing-messages.ts';
import { understand } from '../../src/http/h1/testing-understood.ts';
import { isStricter, reasonOf } from '../support/http1-agreement.ts';

const inputs = 400;
const atATime = 8;

function config(dir: string, port: number): string {
  return `daemon off; master_process off; pid ${dir}/pid; error_log ${dir}/error.log crit;
events { worker_connections 1024; }
http {
  access_log off; lingering_close always; large_client_header_buffers 4 64k;
  client_body_temp_path ${dir}/t1; proxy_temp_path ${dir}/t2; fastcgi_temp_path ${dir}/t3;
  uwsgi_temp_path ${dir}/t4; scgi_temp_path ${dir}/t5;
  server {
    listen 127.0.0.1:${port};
    location / { add_header X-Seen "$request_method|$request_uri"; return 204; }
  }
}`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Sends `bytes` and an end; returns the method and target of every request that was taken. */
async function seenBy(port: number, bytes: Buffer): Promise<string[]> {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk as Buffer));
  const closed = new Promise((resolve) => {
    socket.once('end', resolve);
    socket.once('close', resolve);
  });
  socket.on('error', () => undefined);
  socket.end(bytes);
  await closed;
  socket.destroy();
  return [
    ...Buffer.concat(chunks)
      .toString('latin1')
      .matchAll(/\r\nX-Seen: (.*)\r\n/g),
  ].map(([, seen = '']) => seen);
}

/** In words how the two disagree; null when they do not. */
function compare(bytes: Buffer, theirs: readonly string[]): string | null {
  const ours = understand([bytes]);
  const taken = ours.requests.filter(({ ended }) => ended === 'end');
  for (let at = 0; at < taken.length; at++) {
    const own = taken[at]!;
    // nginx takes methods in upper case alone, and has no answer to these.
    if (!/^[A-Z_-]+$/.test(own.method) || own.method === 'TRACE' || own.target === '*') return null;
    // A path that climbs out of the root is for the policy's normalisation to refuse, not for the codec.
    if (/\.\.|%2e/i.test(own.target)) return null;
    const other = theirs[at];
    if (other === undefined) return `request ${at} is taken by us alone: ${own.method} ${own.target}`;
    const [method, target = ''] = other.split('|');
    const isAbsolute = target.startsWith('http');
    if (own.method !== method || (!isAbsolute && own.target !== target)) {
      return `request ${at}: ${own.method} ${own.target} is ${other}`;
    }
  }
  // One more may be answered before its body is there.
  const open = ours.requests.length > taken.length && reasonOf(ours) === null ? 1 : 0;
  if (theirs.length <= taken.length + open || (ours.ended && reasonOf(ours) === null)) return null;
  const reason = reasonOf(ours);
  return isStricter(reason) ? null : `request ${taken.length} is taken by nginx alone; ours: ${reason}`;
}

it('nginx and we agree, or we are stricter where we say so', { timeout: 60_000 }, async () => {
  const tool = ensureTools(['nginx']).get('nginx')!;
  const dir = mkdtempSync(path.join(os.tmpdir(), 'ambient-nginx-'));
  const port = await freePort();
  writeFileSync(path.join(dir, 'nginx.conf'), config(dir, port));
  const nginx = spawn(tool, ['-p', dir, '-e', path.join(dir, 'error.log'), '-c', path.join(dir, 'nginx.conf')]);
  try {
    while (!(await isListening(port))) await new Promise((resolve) => setTimeout(resolve, 20));
    const samples = fc.sample(messages, inputs);
    for (let at = 0; at < samples.length; at += atATime) {
      const some = samples.slice(at, at + atATime);
      const seen = await Promise.all(some.map((bytes) => seenBy(port, bytes)));
      some.forEach((bytes, i) => {
        const difference = compare(bytes, seen[i]!);
        assert.equal(difference, null, `${difference}: ${JSON.stringify(bytes.toString('latin1'))}`);
      });
    }
  } finally {
    nginx.kill();
    await once(nginx, 'exit');
    rmSync(dir, { recursive: true });
  }
});

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

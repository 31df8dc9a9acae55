// Other people's HTTP/2 against ours: h2load with many streams, and a real Envoy both ways over mutual TLS, its
// `tunneling_config` into our HBONE server and our pool into its CONNECT termination. node:http2 is a peer in src/h2.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type CertificateFiles, makeCertificates } from '../../bench/certificates.ts';
import { envoyClient, envoyServer, findEnvoy, installEnvoy } from '../../bench/paths/envoy.ts';
import { type ByteStream, Took } from '../../src/io/byte-stream.ts';
import { Recorder } from '../../src/io/testing-recorder.ts';
import { tunnelSecureContext } from '../../src/io/tls-context.ts';
import { createTunnelPool } from '../../src/tunnel/pool.ts';
import { listenTunnels, requestTo } from '../../src/tunnel/testing-mesh.ts';
import type { TunnelCredentials } from '../../src/tunnel/types.ts';
import { answerRequests, listenPlain } from './support/plain-server.ts';
import { aptProgram, cacheDir, finished } from './support/tools.ts';

const host = '127.0.0.1';
const bodyBytes = 3_000_000;
const md5 = (bytes: Buffer): string => createHash('md5').update(bytes).digest('hex');
const identityOf = (name: string): string => `spiffe://cluster.local/ns/bench/sa/${name}`;

it('h2load is there, and Envoy', { timeout: 250_000 }, () => {
  aptProgram('h2load', 'nghttp2-client');
  installEnvoy(cacheDir, (line) => process.stderr.write(`${line}\n`));
  findEnvoy(cacheDir);
});

it('h2load: every request of 32 streams on each of 4 connections is answered, with its body', async () => {
  const server = await listenPlain(answerRequests);
  const dir = mkdtempSync(path.join(os.tmpdir(), 'ambient-h2load-'));
  try {
    const body = path.join(dir, 'body');
    writeFileSync(body, Buffer.alloc(50_000, 0x61));
    const url = `http://${host}:${server.port}/`;
    const args = ['-n', '1000', '-c', '4', '-m', '32', '-d', body, url];
    const { output } = await finished('h2load', args, 50_000);
    assert.match(output, /1000 total, 1000 started, 1000 done, 1000 succeeded, 0 failed, 0 errored/, output);
    assert.match(output, /status codes: 1000 2xx/, output);
    assert.equal(server.streams(), 0);
  } finally {
    server.close();
    rmSync(dir, { recursive: true, force: true });
  }
});

function credentialsOf(name: string, files: CertificateFiles): TunnelCredentials {
  const read = (file: string): string => readFileSync(file, 'utf8');
  return {
    identity: identityOf(name),
    trustDomain: 'cluster.local',
    secureContext: tunnelSecureContext({
      keyPem: read(files.key),
      chainPem: read(files.certificate) + read(files.roots),
      rootsPem: [read(files.roots)],
    }),
    generation: 1,
    notAfterMs: Number.POSITIVE_INFINITY,
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Resolves when somebody listens on `port`. */
async function reachable(port: number, program: ChildProcess): Promise<void> {
  for (;;) {
    assert.equal(program.exitCode, null, 'Envoy has ended');
    const socket = connect(port, host);
    const there = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.destroy();
    if (there) return;
    await delay(50);
  }
}

/** Sends back what it was sent, after the client's end: only half-close gets an answer. */
function answerAfterEnd(stream: ByteStream): void {
  const recorder = new Recorder();
  stream.start(recorder);
  void recorder
    .until((seen) => seen.ended)
    .then(() => {
      stream.write(Buffer.concat(recorder.chunks));
      stream.end();
    });
}

describe('Envoy', () => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'ambient-envoy-'));
  const programs: ChildProcess[] = [];
  let certificates: Map<string, CertificateFiles>;
  before(() => {
    certificates = makeCertificates(dir, ['client', 'server']);
  });
  after(async () => {
    for (const program of programs) {
      program.kill('SIGKILL');
      if (program.exitCode === null && program.signalCode === null) await once(program, 'exit');
    }
    rmSync(dir, { recursive: true, force: true });
  });

  async function startEnvoy(name: string, port: number, config: unknown): Promise<void> {
    const file = path.join(dir, `${name}.json`);
    writeFileSync(file, JSON.stringify(config));
    const options = ['--concurrency', '1', '--log-level', 'error', '--disable-hot-restart'];
    const program = spawn(findEnvoy(cacheDir), ['-c', file, ...options], { stdio: ['ignore', 'inherit', 'inherit'] });
    programs.push(program);
    await reachable(port, program);
  }

  it('tunnels into our server: bytes, half-close, both ways', async () => {
    const authorities = new Set<string>();
    const server = await listenTunnels(credentialsOf('server', certificates.get('server')!), (tunnel) => {
      assert.equal(tunnel.peerIdentity, identityOf('client'));
      authorities.add(tunnel.authority);
      answerAfterEnd(tunnel.accept(''));
    });
    try {
      const port = await freePort();
      const places = { listen: [host, port], tunnel: [host, server.port], authority: '10.0.0.1:8080' } as const;
      await startEnvoy('client', port, envoyClient(places, certificates.get('client')!));
      for (let i = 0; i < 3; i++) {
        const sent = randomBytes(bodyBytes);
        const socket = connect({ port, host, allowHalfOpen: true });
        socket.end(sent);
        assert.equal(md5(Buffer.concat(await socket.toArray())), md5(sent));
      }
      assert.deepEqual([...authorities], ['10.0.0.1:8080']);
    } finally {
      server.close();
    }
  });

  it('ends our tunnels: bytes, half-close, both ways', async () => {
    const origin = createServer({ allowHalfOpen: true }, (socket: Socket) => {
      const chunks: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => chunks.push(chunk));
      socket.on('end', () => socket.end(Buffer.concat(chunks)));
    }).listen(0, host);
    await once(origin, 'listening');
    const pool = createTunnelPool();
    try {
      const port = await freePort();
      const places = { listen: [host, port], server: [host, (origin.address() as AddressInfo).port] } as const;
      await startEnvoy('server', port, envoyServer(places, certificates.get('server')!));
      const request = requestTo(port, credentialsOf('client', certificates.get('client')!), identityOf('server'), {
        timeoutMs: 20_000,
      });
      for (let i = 0; i < 3; i++) {
        const stream = await new Promise<ByteStream>((resolve, reject) => {
          pool.open(request, (error, opened) => (opened === null ? reject(error) : resolve(opened.stream)));
        });
        const recorder = new Recorder();
        stream.start(recorder);
        const sent = randomBytes(bodyBytes);
        if (stream.write(sent) & Took.Pause) await recorder.until((seen) => seen.drains > 0);
        stream.end();
        await recorder.until((seen) => seen.closed !== null);
        assert.deepEqual([recorder.closed, recorder.md5], [{ error: null, wasReset: false }, md5(sent)]);
      }
      assert.equal(pool.stats().sessionsOpened, 1);
    } finally {
      pool.close();
      origin.close();
    }
  });
});

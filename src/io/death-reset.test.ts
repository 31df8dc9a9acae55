// Who dies resets what it carried; who ends in good order loses nothing.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { answerBytes } from './testing-mortal.ts';

const program = path.join(import.meta.dirname, 'testing-mortal.ts');

/** Both of its connections, and what ends it. */
interface Mortal {
  readonly accepted: Socket;
  readonly dialled: Socket;
  readonly kill: () => Promise<void>;
}

function startProcess(port: number): () => Promise<void> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, String(port)]);
  const gone = once(child, 'exit');
  return async () => {
    child.kill('SIGKILL');
    await gone;
  };
}

function startThread(port: number): () => Promise<void> {
  const worker = new Worker(program, { workerData: port });
  return async () => void (await worker.terminate());
}

const kinds: [what: string, start: (port: number) => () => Promise<void>][] = [
  ['a process', startProcess],
  ['a thread', startThread],
];

for (const [what, start] of kinds) {
  describe(`the streams of ${what}`, { timeout: 60_000 }, () => {
    const server = createServer({ allowHalfOpen: true });
    const mortals: Mortal[] = [];
    before(async () => {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
    });
    after(async () => {
      for (const { accepted, dialled, kill } of mortals) {
        accepted.destroy();
        dialled.destroy();
        await kill();
      }
      server.close();
    });

    async function live(): Promise<Mortal> {
      const arrived = once(server, 'connection');
      const kill = start((server.address() as AddressInfo).port);
      const [dialled] = (await arrived) as [Socket];
      dialled.on('error', () => undefined);
      const [port] = (await once(dialled, 'data')) as [Buffer];
      const accepted = connect({ port: Number.parseInt(port.toString(), 10), host: '127.0.0.1', allowHalfOpen: true });
      accepted.on('error', () => undefined);
      // It has been taken over: before that it is the kernel's to end.
      await once(accepted, 'data');
      const mortal = { accepted, dialled, kill };
      mortals.push(mortal);
      return mortal;
    }

    it('are reset by its death', async (context) => {
      if (process.env.AMBIENT_DOCUMENTED_IO === '1') {
        context.skip('sockets do not show their descriptors');
        return;
      }
      const { accepted, dialled, kill } = await live();
      const errors = [accepted, dialled].map((socket) => once(socket.resume(), 'end').catch((error) => error.code));
      await kill();
      assert.deepEqual(await Promise.all(errors), ['ECONNRESET', 'ECONNRESET']);
    });

    it('give every byte when they end in good order before it', async () => {
      const { accepted, dialled, kill } = await live();
      for (const socket of [accepted, dialled]) {
        socket.end();
        const ended = once(socket, 'end');
        let bytes = 0;
        socket.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
        });
        await ended;
        assert.equal(bytes, answerBytes);
      }
      await kill();
    });
  });
}

// Streams in a process or thread that a test ends: dials the port that it is given, and says there and to who calls on
// which port it listens. It answers the end of what it reads with `answerBytes` of its own.
import type { AddressInfo } from 'node:net';
import { isMainThread, workerData } from 'node:worker_threads';
import { connectTcp } from './connect-tcp.ts';
import { createTcpServer } from './listen-tcp.ts';
import { chooseTcpBackend } from './tcp-self-test.ts';
import type { TcpStream } from './tcp-stream.ts';

/** More than the kernel takes at once. */
export const answerBytes = 8_000_000;

function serve(stream: TcpStream, greeting: string): void {
  stream.start({
    onData: () => 0,
    onEnd: () => {
      stream.write(Buffer.alloc(answerBytes, 7));
      stream.end();
    },
    onDrain: () => undefined,
    onClose: () => undefined,
  });
  stream.write(Buffer.from(greeting));
}

/** Lives until it is ended. */
async function live(port: number): Promise<void> {
  await chooseTcpBackend();
  const greeting = (): string => `${(server.address() as AddressInfo).port};`;
  const server = createTcpServer((stream) => serve(stream, greeting()));
  server.listen(0, '127.0.0.1', () => {
    connectTcp({ host: '127.0.0.1', port, timeoutMs: 10_000 }, (error, stream) => {
      if (error !== null) throw error;
      serve(stream!, greeting());
    });
  });
}

const port = Number(isMainThread ? process.argv[2] : workerData);
if (port > 0) await live(port);

// Stands for the proxy in the capture tests: listens on the descriptors of the launcher, one worker thread per row,
// and tells every client what it saw. A line `die N` on standard input kills thread N, which is then replaced on the
// next descriptor.
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { takeListeners } from '../../../src/node/listeners.ts';

if (isMainThread) {
  const listeners = takeListeners(process.env);
  const start = (thread: number, life: number): void => {
    const worker = new Worker(new URL(import.meta.url), { workerData: { thread, fds: listeners.of(thread, life) } });
    worker.on('message', () => process.stdout.write(`${JSON.stringify({ serving: thread, life })}\n`));
    worker.on('exit', () => start(thread, life + 1));
    workers[thread] = worker;
  };
  const workers: Worker[] = [];
  for (let thread = 0; thread < listeners.threads; thread++) start(thread, 0);
  createInterface({ input: process.stdin }).on('line', (line) => {
    void workers[Number(line.replace('die ', ''))]?.terminate();
  });
} else {
  const { thread, fds } = workerData as { thread: number; fds: Record<string, number[]> };
  let open = 0;
  const all = Object.entries(fds).flatMap(([role, list]) => list.map((fd) => ({ role, fd })));
  for (const { role, fd } of all) {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      const local = `${plain(socket.localAddress)} ${socket.localPort}`;
      socket.write(`${JSON.stringify({ role, local, from: plain(socket.remoteAddress), thread })}\n`);
      socket.on('data', (chunk) => socket.write(chunk));
    });
    server.listen({ fd }, () => {
      open += 1;
      if (open === all.length) parentPort?.postMessage('serving');
    });
  }
}

function plain(address: string | undefined): string {
  return (address ?? '').replace(/^::ffff:/, '');
}

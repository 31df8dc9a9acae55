// The bench's own client, run inside the client pod: `get URL` once, or until standard input ends `hold URL COUNT`, or
// `stall URL COUNT`, which asks and never reads the answer.
import { once } from 'node:events';
import net from 'node:net';

const openAtOnce = 32;
const answerTimeoutMs = 10_000;

/** Connects, asks once with keep-alive, and resolves with the open socket after a 200. */
async function ask(url: URL): Promise<net.Socket> {
  const socket = net.connect(Number(url.port || 80), url.hostname);
  socket.setTimeout(answerTimeoutMs, () => socket.destroy(new Error(`no answer in ${answerTimeoutMs} ms`)));
  socket.write(`GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`);
  const closed = once(socket, 'close').then(() => Promise.reject(new Error('closed without an answer')));
  const [head] = (await Promise.race([once(socket, 'data'), closed])) as [Buffer];
  closed.catch(() => {}); // an end after the answer is the caller's to notice
  if (!head.toString('latin1').startsWith('HTTP/1.1 200 ')) throw new Error(`answered ${head.subarray(0, 40)}`);
  socket.setTimeout(0);
  return socket;
}

async function hold(url: URL, count: number): Promise<void> {
  const held: net.Socket[] = [];
  while (held.length < count) {
    const batch = Math.min(openAtOnce, count - held.length);
    held.push(...(await Promise.all(Array.from({ length: batch }, () => ask(url)))));
  }
  let lost = 0;
  for (const socket of held) socket.on('close', () => lost++).on('error', () => {});
  process.stdout.write('held\n');
  process.stdin.resume();
  await once(process.stdin, 'end');
  if (lost > 0) process.stderr.write(`bench: ${lost} of ${count} held connections were closed by the other side\n`);
  for (const socket of held) socket.destroy();
}

async function stall(url: URL, count: number): Promise<void> {
  const sockets = Array.from({ length: count }, () => net.connect(Number(url.port || 80), url.hostname));
  for (const socket of sockets) {
    socket.pause();
    socket.on('error', () => {});
    socket.write(`GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`);
  }
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  process.stdout.write('held\n');
  process.stdin.resume();
  await once(process.stdin, 'end');
  for (const socket of sockets) socket.destroy();
}

const [task, target = '', count = '0'] = process.argv.slice(2);
try {
  const url = new URL(target);
  if (task === 'hold') await hold(url, Number(count));
  else if (task === 'stall') await stall(url, Number(count));
  else (await ask(url)).destroy();
} catch (error) {
  process.stderr.write(`bench: ${target}: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1); // what other connections are still waiting for no longer matters
}

// Looks for the marker in everything that crosses the fabric, as it crosses: nothing is kept.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { TestLab } from '../lab/harness.ts';
import { marker } from './stream-pattern.ts';

/** A packet shows the marker within the first 128 bytes of its payload. */
const packetBytes = 300;
const startMs = 30_000;

export class MarkerWatch {
  /** How often the marker was seen in the clear. */
  seen = 0;
  bytes = 0;
  readonly #child: ChildProcess;
  #tail = Buffer.alloc(0);

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout!.on('data', (chunk: Buffer) => this.#search(chunk));
  }

  /** Resolves when it sees packets. */
  static async start(lab: TestLab): Promise<MarkerWatch> {
    const inside = ['-t', String(lab.client.lab.hostPid), '--net', '--user', '--preserve-credentials'];
    const args = process.getuid?.() === 0 ? inside.slice(0, 3) : inside;
    const dump = ['tcpdump', '-i', 'any', '--immediate-mode', '-U', '-s', String(packetBytes), '-w', '-', 'tcp'];
    const child = spawn('nsenter', [...args, '--', ...dump], { stdio: ['ignore', 'pipe', 'pipe'] });
    const watch = new MarkerWatch(child);
    let words = '';
    const signal = AbortSignal.timeout(startMs);
    while (!words.includes('listening on')) {
      const [chunk] = (await once(child.stderr!, 'data', { signal })) as [Buffer];
      words += chunk.toString();
    }
    child.stderr!.resume();
    return watch;
  }

  async stop(): Promise<void> {
    const gone = once(this.#child, 'close');
    this.#child.kill('SIGINT');
    await gone;
  }

  #search(chunk: Buffer): void {
    this.bytes += chunk.length;
    const text = Buffer.concat([this.#tail, chunk]);
    for (let at = text.indexOf(marker); at >= 0; at = text.indexOf(marker, at + marker.length)) this.seen++;
    this.#tail = text.subarray(Math.max(0, text.length - marker.length + 1));
  }
}

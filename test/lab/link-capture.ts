// Records what crosses the link between the nodes: tcpdump in the lab's fabric, so that a test can look for what must
// not be there.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { TestLab } from './harness.ts';

export interface Captured {
  readonly packets: number;
  /** Everything that crossed, as latin1 text: a payload in the clear can be searched for. */
  readonly text: string;
  /** Destination and source ports of all TCP packets between pod addresses. */
  readonly ports: ReadonlySet<number>;
}

export class LinkCapture {
  readonly #child: ChildProcess;
  readonly #chunks: Buffer[] = [];

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout!.on('data', (chunk: Buffer) => this.#chunks.push(chunk));
  }

  /** Begins to record every packet on the fabric; resolves when tcpdump listens. */
  static async start(lab: TestLab): Promise<LinkCapture> {
    const inside = ['-t', String(lab.client.lab.hostPid), '--net', '--user', '--preserve-credentials'];
    const args = process.getuid?.() === 0 ? inside.slice(0, 3) : inside;
    // Immediate mode: a packet that still sat in the kernel's block when the recording ends would be lost.
    const dump = ['tcpdump', '-i', 'any', '--immediate-mode', '-U', '-s', '0', '-w', '-', 'tcp'];
    const child = spawn('nsenter', [...args, '--', ...dump], { stdio: ['ignore', 'pipe', 'pipe'] });
    const capture = new LinkCapture(child);
    let words = '';
    const signal = AbortSignal.timeout(10_000);
    while (!words.includes('listening on')) {
      const [chunk] = (await once(child.stderr!, 'data', { signal })) as [Buffer];
      words += chunk.toString();
    }
    child.stderr!.resume();
    return capture;
  }

  /** Ends the recording and returns what was seen. */
  async stop(): Promise<Captured> {
    const gone = once(this.#child, 'close');
    this.#child.kill('SIGINT');
    await gone;
    return parse(Buffer.concat(this.#chunks));
  }
}

// pcap file of link type LINUX_SLL2 (276) or LINUX_SLL (113), as tcpdump writes for `-i any`.
const fileHeaderBytes = 24;
const packetHeaderBytes = 16;

function parse(file: Buffer): Captured {
  assert.equal(file.readUInt32LE(0), 0xa1b2c3d4, 'a pcap file');
  const linkHeaderBytes = file.readUInt32LE(20) === 276 ? 20 : 16;
  const ports = new Set<number>();
  let packets = 0;
  for (let at = fileHeaderBytes; at + packetHeaderBytes <= file.length; packets++) {
    const length = file.readUInt32LE(at + 8);
    const packet = file.subarray(at + packetHeaderBytes, at + packetHeaderBytes + length);
    collectPorts(packet.subarray(linkHeaderBytes), ports);
    at += packetHeaderBytes + length;
  }
  return { packets, text: file.toString('latin1'), ports };
}

function collectPorts(ip: Buffer, ports: Set<number>): void {
  const version = (ip[0] ?? 0) >> 4;
  const header = version === 4 ? ((ip[0] ?? 0) & 15) * 4 : 40;
  const tcp = ip.subarray(header);
  const protocol = version === 4 ? ip[9] : ip[6];
  if (protocol !== 6 || tcp.length < 4) return;
  ports.add(tcp.readUInt16BE(2));
}

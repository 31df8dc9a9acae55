// A link that goes through a program of ours instead of straight: for delay and reordering where the kernel has no
// netem.
//
//   before   host side DEVICE ═══════════════════════════════ far end
//   after    host side DEVICE ═══ far ┤ native-free/slow-link.pl ├ DEVICE ═══ far end
//                                     └── a namespace of its own ──┘
//
// The old half of the link moves away and a new pair takes its name, so that rules and routes by name stay true.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { MeshError } from '../base/errors.ts';
import { projectFile } from '../base/project-files.ts';
import { inNetns, ipBatch } from './run.ts';

/** One half of a link, in the namespace from which it is made late. */
export interface LinkHalf {
  /** Null for the fabric. */
  readonly netns: string | null;
  readonly device: string;
  /** `ip` lines that make a device of this name fit for its place, after it is there and before traffic. */
  readonly placed: readonly string[];
}

const program = projectFile('native-free/slow-link.pl');
const readyMs = 5_000;
/** The lab's first process lives in the fabric. */
const fabricOwner = '1';

/** The detour of one link, from `begin` to `end`. */
export class Detour {
  readonly #half: LinkHalf;
  readonly #netns: string;
  #program: ChildProcess | null = null;

  constructor(half: LinkHalf) {
    this.#half = half;
    this.#netns = `fault-${half.device}`;
  }

  /** Puts the program into the link. What is under way on it is lost, as on any cable that is pulled. */
  async begin(delayMs: number, reorder: number): Promise<void> {
    const { netns, device, placed } = this.#half;
    await ipBatch(null, [`netns add ${this.#netns}`]);
    await ipBatch(netns, [
      `link set ${device} netns ${this.#netns}`,
      `link add ${device} type veth peer name far netns ${this.#netns}`,
      ...placed,
    ]);
    const own = [device, 'far'].flatMap((each) => [`link set ${each} addrgenmode none`, `link set ${each} up`]);
    await ipBatch(this.#netns, own);
    await this.change(delayMs, reorder);
  }

  /** Other delays; frames that wait are lost. */
  async change(delayMs: number, reorder: number): Promise<void> {
    await this.#stop();
    const words = ['perl', program, this.#half.device, 'far', String(delayMs), String(reorder)];
    const [command = '', ...args] = [...inNetns(this.#netns), ...words];
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#program = child;
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(0, 1000);
    });
    const ready = once(child.stdout, 'data', { signal: AbortSignal.timeout(readyMs) });
    const ended = once(child, 'close').then(() => Promise.reject(new Error(said.trim())));
    try {
      await Promise.race([ready, ended]);
    } catch (error) {
      const reason = `the program that makes links late did not start: ${said.trim() || String(error)}`;
      throw new MeshError('CONFIG_INVALID', { place: 'fault delay', reason }, { cause: error });
    }
    ended.catch(() => undefined);
  }

  /** The link goes straight again. */
  async end(): Promise<void> {
    await this.#stop();
    const { netns, device, placed } = this.#half;
    await ipBatch(netns, [`link del ${device}`]);
    await ipBatch(this.#netns, [`link set ${device} netns ${netns ?? fabricOwner}`]);
    await ipBatch(netns, placed);
    await ipBatch(null, [`netns del ${this.#netns}`]);
  }

  /** The link has gone, and with it the way back. */
  async abandon(): Promise<void> {
    await this.#stop();
    await ipBatch(null, [`netns del ${this.#netns}`]);
  }

  async #stop(): Promise<void> {
    const child = this.#program;
    this.#program = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'close');
    child.kill('SIGKILL');
    await gone;
  }
}

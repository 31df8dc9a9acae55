// Capture in the network namespace of each pod: for networks whose traffic goes past the hooks of the node. Watches the
// folder of namespaces, so that a pod is captured before the mesh has heard of it, and held until it has.
import { closeSync, type FSWatcher, watch } from 'node:fs';
import path from 'node:path';
import { MeshError, messageOf } from '../base/errors.ts';
import { type Cidr, familyOf, parseCidr } from '../base/ip.ts';
import { type NetworkNamespaces, networkNamespaces } from '../io/network-namespace.ts';
import { transparentListeners } from '../io/transparent-listener.ts';
import type { PodCaptureView } from '../model/views.ts';
import type { CaptureBackend, CaptureVerdict } from './backend.ts';
import { type CommandRunner, runCommand } from './command.ts';
import { type DesiredCapture, sameList } from './desired.ts';
import { HostCapture } from './host-backend.ts';
import { addressesIn, inodeOf, lookInto, namespaceFiles } from './pod-finder.ts';
import { PodNamespace, type PodSink, type PodTools, type Wish } from './pod-namespace.ts';
import { translatedText } from './pod-ruleset.ts';
import { removeFromPod } from './pod-script.ts';

export interface PodCaptureOptions {
  /** Where container runtimes keep the network namespaces of pods. */
  readonly folder: string;
  /** When this proxy started; of two proxies on a node the later one owns the rules. */
  readonly ownerMs: number;
  readonly threads: number;
  readonly sink: PodSink;
  /** The node's own, at the time. */
  readonly nodeAddresses: () => readonly string[];
  readonly run?: CommandRunner;
  readonly nowMs?: () => number;
}

/** A file that has no address of a pod yet: when to look again. */
interface Unsettled {
  readonly inode: number | null;
  waitMs: number;
  timer: NodeJS.Timeout | null;
}

/** Pods that are worked on at once: each costs a process for some milliseconds. */
const podsAtOnceMax = 4;
/** Pods whose rules are read back in one round of `verify`, those that have waited longest first. */
const podsReadBackMax = 8;
/** A namespace that has just been made gets its second family so soon; what comes later is not believed. */
const settlingMs = 2_000;
const lookFirstMs = 2;
const lookCapMs = 2_000;

/** The backend `pod`. Throws `CAPTURE_FAILED` or `TOOL_MISSING` for what concerns all pods; of one pod, see `pods`. */
export class PodCapture implements CaptureBackend {
  readonly #options: PodCaptureOptions;
  readonly #run: CommandRunner;
  readonly #host: HostCapture;
  readonly #byFile = new Map<string, PodNamespace>();
  readonly #unsettled = new Map<string, Unsettled>();
  #tools: PodTools | null = null;
  #desired: DesiredCapture | null = null;
  #networks: readonly string[] = [];
  #podCidrs: readonly Cidr[] = [];
  #watcher: FSWatcher | null = null;
  #nextId = 1;
  #nextReadBack = 0;
  #refused: string | null = null;
  #isClosed = false;
  #atWork = 0;
  readonly #queue: (() => void)[] = [];

  constructor(options: PodCaptureOptions) {
    this.#options = options;
    this.#run = options.run ?? runCommand;
    this.#host = new HostCapture(options.ownerMs, this.#run, ({ podCidrs }, notes) => translatedText(podCidrs, notes));
  }

  async apply(desired: DesiredCapture): Promise<void> {
    this.#tools ??= this.#toolbox();
    this.#desired = desired;
    this.#setNetworks(desired.podCidrs);
    this.#watch();
    await this.#host.apply({ ...desired, bypass: [] });
    this.#scan();
    await this.#tendAll();
    if (this.#refused !== null) {
      const hint = 'the proxy needs CAP_SYS_ADMIN; see docs/security.md';
      throw new MeshError('CAPTURE_FAILED', { reason: `${this.#refused} may not be entered`, hint });
    }
  }

  async verify(): Promise<CaptureVerdict> {
    const host = await this.#host.verify();
    this.#scan();
    this.#checkAddresses();
    const all = [...this.#byFile.values()];
    const count = Math.min(podsReadBackMax, all.length);
    const round = Array.from({ length: count }, (_, i) => all[(this.#nextReadBack + i) % all.length]!);
    this.#nextReadBack = all.length === 0 ? 0 : (this.#nextReadBack + count) % all.length;
    const findings = [...host.findings];
    for (const pod of round) findings.push(...(await this.#limited(() => pod.check())));
    return findings.length > 0 ? { state: 'drifted', findings } : { state: host.state, findings };
  }

  /** Takes the rules out of every pod; without `podCidrs` in what was applied, out of every namespace of the folder. */
  async remove(): Promise<void> {
    await removeFromPods(this.#options.folder, this.#podCidrs, this.#run);
    await this.#host.remove();
  }

  pods(): readonly PodCaptureView[] {
    return [...this.#byFile.values()].map((pod) => pod.view());
  }

  close(): void {
    this.#isClosed = true;
    this.#watcher?.close();
    for (const file of this.#unsettled.keys()) this.#forget(file);
    for (const pod of this.#byFile.values()) void pod.release();
  }

  /** Networks and single addresses; what was none of a pod may be one now. */
  #setNetworks(networks: readonly string[]): void {
    if (sameList(networks, this.#networks)) return;
    this.#networks = networks;
    this.#podCidrs = networks.flatMap((each) => parseCidr(each) ?? parseCidr(`${each}/${addressBits(each)}`) ?? []);
    for (const file of [...this.#unsettled.keys()]) this.#forget(file);
  }

  #toolbox(): PodTools {
    const namespaces = networkNamespaces();
    const listeners = transparentListeners();
    if (namespaces === null || listeners === null) {
      const hint = 'use Node 26.1 or newer on x64 or arm64, or capture.backend: host';
      throw new MeshError('CAPTURE_FAILED', { reason: `this Node (${process.version}) has no node:ffi`, hint });
    }
    const { ownerMs, threads, sink, nowMs = () => performance.now() } = this.#options;
    return { ownerMs, threads, sink, run: this.#run, namespaces, listeners, nowMs };
  }

  #watch(): void {
    if (this.#watcher !== null || this.#isClosed) return;
    const { folder } = this.#options;
    try {
      this.#watcher = watch(folder, { persistent: false }, () => this.#onFolder());
    } catch (error) {
      const hint = 'is it where the container runtime keeps network namespaces, and mounted?';
      throw new MeshError('CAPTURE_FAILED', { reason: `${folder}: ${messageOf(error)}`, hint });
    }
    this.#watcher.on('error', () => {
      this.#watcher?.close();
      this.#watcher = null; // the next `apply` tries again, and until then `verify` looks
    });
  }

  /** Something came or went: what is new is captured at once. */
  #onFolder(): void {
    if (this.#isClosed) return;
    try {
      this.#scan();
    } catch {
      return; // the next `verify` says so
    }
    void this.#tendAll();
  }

  /** Finds what is new and what has gone. Throws `CAPTURE_FAILED` when the folder cannot be read. */
  #scan(): void {
    const { folder } = this.#options;
    let names: string[];
    try {
      names = namespaceFiles(folder);
    } catch (error) {
      const hint = 'is it where the container runtime keeps network namespaces, and mounted?';
      throw new MeshError('CAPTURE_FAILED', { reason: `${folder}: ${messageOf(error)}`, hint });
    }
    this.#refused = null;
    const files = new Set(names.map((name) => path.join(folder, name)));
    for (const [file, pod] of this.#byFile) {
      if (inodeOf(file) === pod.inode) continue;
      this.#byFile.delete(file);
      void pod.gone();
    }
    for (const file of this.#unsettled.keys()) if (!files.has(file)) this.#forget(file);
    for (const file of files) if (!this.#byFile.has(file)) this.#look(file);
  }

  /** Looks at a file that is no known pod's, unless it did so a moment ago. */
  #look(file: string): void {
    const inode = inodeOf(file);
    const before = this.#unsettled.get(file);
    if (before?.inode === inode && before.timer !== null) return;
    if (before !== undefined && before.inode !== inode) this.#forget(file);
    const found = inode === null ? null : lookInto(file, this.#podCidrs, this.#tools!.namespaces);
    if (found === 'refused') this.#refused = file;
    if (found !== null && found !== 'refused') {
      this.#forget(file);
      this.#byFile.set(file, new PodNamespace(this.#nextId++, found, this.#tools!));
      return;
    }
    const waitMs = Math.min(lookCapMs, (this.#unsettled.get(file)?.waitMs ?? lookFirstMs / 2) * 2);
    const timer = setTimeout(() => this.#lookAgain(file), waitMs).unref();
    this.#unsettled.set(file, { inode, waitMs, timer });
  }

  #lookAgain(file: string): void {
    const unsettled = this.#unsettled.get(file);
    if (unsettled === undefined || this.#isClosed) return;
    unsettled.timer = null;
    this.#look(file);
    const pod = this.#byFile.get(file);
    if (pod !== undefined) void this.#tendAll();
  }

  #forget(file: string): void {
    const timer = this.#unsettled.get(file)?.timer ?? null;
    if (timer !== null) clearTimeout(timer);
    this.#unsettled.delete(file);
  }

  /** A namespace that is being set up may get the addresses of one family after those of the other. */
  #checkAddresses(): void {
    const { namespaces, nowMs } = this.#tools!;
    for (const pod of this.#byFile.values()) {
      const now = addressesIn(pod.fd, this.#podCidrs, namespaces) ?? [];
      if (sameList(now, pod.addresses)) continue;
      if (nowMs() - pod.seenMs < settlingMs && isMoreFamilies(pod.addresses, now)) pod.setAddresses(now);
    }
  }

  async #tendAll(): Promise<void> {
    const desired = this.#desired;
    if (desired === null || this.#isClosed) return;
    this.#checkAddresses();
    const wishes = this.#wishes(desired);
    await Promise.all([...wishes].map(([pod, wish]) => this.#limited(() => pod.want(wish))));
  }

  /** What is to become of each namespace. An address that two of them have is believed to neither, or to the first. */
  #wishes(desired: DesiredCapture): Map<PodNamespace, Wish> {
    const { ports, failOpen } = desired;
    const rules = { ports, failOpen, nodeAddresses: [...this.#options.nodeAddresses()].sort() };
    const bypass = new Set(desired.bypass);
    const owners = new Map<string, PodNamespace[]>();
    for (const pod of this.#byFile.values()) {
      for (const address of pod.addresses) owners.set(address, [...(owners.get(address) ?? []), pod]);
    }
    const wishes = new Map<PodNamespace, Wish>();
    for (const pod of this.#byFile.values()) {
      const rival = pod.addresses
        .flatMap((address) => owners.get(address) ?? [])
        .find((other) => other !== pod && (other.isOpen || !pod.isOpen));
      const isOutside = pod.addresses.every((address) => bypass.has(address));
      if (rival !== undefined && !pod.isOpen) {
        wishes.set(pod, { kind: 'refused', rules, reason: `${rival.file} has an address of this namespace too` });
      } else if (this.#hasLostAddress(pod)) {
        wishes.set(pod, { kind: 'refused', rules, reason: `${pod.addresses.join(', ')} is not there any more` });
      } else wishes.set(pod, isOutside ? { kind: 'outside' } : { kind: 'captured', rules });
    }
    return wishes;
  }

  #hasLostAddress(pod: PodNamespace): boolean {
    const now = addressesIn(pod.fd, null, this.#tools!.namespaces) ?? [];
    return pod.addresses.some((address) => !now.includes(address));
  }

  async #limited<T>(work: () => Promise<T>): Promise<T> {
    while (this.#atWork >= podsAtOnceMax) await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#atWork++;
    try {
      return await work();
    } finally {
      this.#atWork--;
      this.#queue.shift()?.();
    }
  }
}

/**
 * Takes the rules out of the namespaces in `folder` that have an address of `podCidrs`, or out of all of them when
 * that is empty. Throws `CAPTURE_FAILED` with the first that could not be done, when all have been tried.
 */
export async function removeFromPods(folder: string, podCidrs: readonly Cidr[], run = runCommand): Promise<void> {
  const namespaces = networkNamespaces();
  const own = inodeOf(`/proc/${process.pid}/ns/net`);
  let failure: unknown = null;
  for (const name of readable(folder)) {
    const file = path.join(folder, name);
    const inode = inodeOf(file);
    if (inode === null || inode === own || !isPods(file, podCidrs, namespaces)) continue;
    try {
      await removeFromPod({ file, families: ['-4', '-6'] }, run);
    } catch (error) {
      failure ??= error;
    }
  }
  if (failure !== null) throw failure;
}

const addressBits = (address: string): number => (familyOf(address) === 4 ? 32 : 128);

/** True when `now` is `before` with addresses of the family that it lacked. */
function isMoreFamilies(before: readonly string[], now: readonly string[]): boolean {
  if (!before.every((address) => now.includes(address))) return false;
  const had = new Set(before.map(familyOf));
  return now.every((address) => before.includes(address) || !had.has(familyOf(address)));
}

function readable(folder: string): string[] {
  try {
    return namespaceFiles(folder);
  } catch {
    return []; // no pod was ever here
  }
}

function isPods(file: string, podCidrs: readonly Cidr[], namespaces: NetworkNamespaces | null): boolean {
  if (podCidrs.length === 0 || namespaces === null) return true;
  const found = lookInto(file, podCidrs, namespaces);
  if (found === null || found === 'refused') return false;
  closeSync(found.fd);
  return true;
}

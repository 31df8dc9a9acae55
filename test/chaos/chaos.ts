// Chaos: random faults under mixed load, with what must hold at any time checked all the time, and what must be left
// afterwards checked at the end. A seed repeats the faults and their order, though not what the kernel makes of them.
import type { NodeDump } from '../../src/model/views.ts';
import { node1, node2 } from '../lab/harness.ts';
import { episode, pause } from './actions.ts';
import { evidence } from './evidence.ts';
import type { LoadEvent } from './load.ts';
import { MarkerWatch } from './marker-watch.ts';
import { type ProxySample, sampleProxy } from './proxy-sample.ts';
import { seeded } from './random.ts';
import { Scene } from './scene.ts';
import { deathsOf, lastWordsOf, storyOf } from './story.ts';

export interface ChaosResult {
  readonly seed: number;
  readonly episodes: number;
  /** What did not hold; empty when all did. */
  readonly failures: readonly string[];
  /** What was done and seen, with seconds since the start. */
  readonly timeline: readonly string[];
  readonly tally: Readonly<Record<string, number>>;
  readonly before: Readonly<Record<string, ProxySample>>;
  readonly after: Readonly<Record<string, ProxySample>>;
}

const nodes = [node1, node2];
const warmUpMs = 2_000;
const settleMs = 120_000;
/** TCP alone may take that long to find out what went wrong on links. */
const endMs = 120_000;
/** A proxy that was killed may have saved its state before the last change, and hears of it right after its start. */
const staleAfterKillMs = 5_000;
const momentMs = 100;
/** From the order to a data thread to crash to the end of the process that Node takes with it. */
const threadDeathMs = 2_000;
const nativeDeathsMax = 1;
/** Failed streams whose story is told. */
const storiesMax = 4;
const descriptorsMore = 20;
/** Sockets beside those of sessions, timers and the like: whatever leaks is left by hundreds of streams. */
const resourcesMore = 5;
const rssMoreMb = 120;

/** Runs `seconds` of chaos in a lab of its own. Never rejects for what chaos finds: that is in `failures`. */
export async function runChaos(seed: number, seconds: number, say: (line: string) => void): Promise<ChaosResult> {
  return await new Chaos(seed, say).run(seconds);
}

class Chaos {
  readonly #seed: number;
  readonly #print: (line: string) => void;
  readonly #timeline: string[] = [];
  readonly #failures: string[] = [];
  readonly #events: { who: string; event: LoadEvent }[] = [];
  readonly #kills: { who: 'proxy' | 'victim' | 'thread'; fromMs: number; toMs: number }[] = [];
  readonly #denials: { fromMs: number; toMs: number }[] = [];
  #startedMs = Date.now();

  constructor(seed: number, print: (line: string) => void) {
    this.#seed = seed;
    this.#print = print;
  }

  async run(seconds: number): Promise<ChaosResult> {
    const scene = await Scene.open((who, event) => this.#events.push({ who, event }));
    let tally: Record<string, number> = {};
    let before: Record<string, ProxySample> = {};
    let after: Record<string, ProxySample> = {};
    let episodes = 0;
    let watch: MarkerWatch | null = null;
    try {
      watch = await MarkerWatch.start(scene.lab);
      await scene.inTheClear();
      while (watch.seen === 0) await pause(momentMs);
      const inTheClear = await settled(() => watch!.seen);
      before = await this.#samples(scene);
      await scene.begin();
      await pause(warmUpMs);
      this.#startedMs = Date.now();
      const random = seeded(this.#seed);
      while (Date.now() - this.#startedMs < seconds * 1000 && this.#failures.length === 0) {
        episodes++;
        await this.#episode(scene, random);
        if (watch.seen > inTheClear) this.#fail(`${watch.seen - inTheClear} markers in the clear on a link`);
        await this.#judge(scene);
      }
      this.#say('quiet');
      await scene.lab.client.fault({ type: 'heal' });
      await scene.lab.client.waitInStep(settleMs);
      tally = await scene.end(endMs);
      await pause(momentMs);
      await this.#judge(scene);
      after = await this.#leftovers(scene, before);
      this.#judgeDeaths(await deathsOf(scene.lab));
      if (watch.seen > inTheClear) this.#fail(`${watch.seen - inTheClear} markers in the clear on a link`);
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : String(error));
      for (const look of [evidence, deathsOf, lastWordsOf]) {
        for (const line of await look(scene.lab).catch((reason) => [String(reason)])) this.#say(`  ${line}`);
      }
    } finally {
      await watch?.stop();
      await scene.close();
    }
    const [failures, timeline] = [this.#failures, this.#timeline];
    return { seed: this.#seed, episodes, failures, timeline, tally, before, after };
  }

  async #episode(scene: Scene, random: () => number): Promise<void> {
    await episode({
      scene,
      random,
      say: (words) => this.#say(words),
      killing: async (who, work) => {
        const kill = { who, fromMs: Date.now(), toMs: Number.POSITIVE_INFINITY };
        this.#kills.push(kill);
        await work();
        kill.toMs = Date.now();
      },
      denied: (isDenied) => {
        if (isDenied) this.#denials.push({ fromMs: Date.now(), toMs: Number.POSITIVE_INFINITY });
        else this.#denials.push({ ...this.#denials.pop()!, toMs: Date.now() });
      },
    });
  }

  /**
   * Node may take the process with a worker that dies, in native code of its own: rarely, and it comes back at once.
   */
  #judgeDeaths(lines: readonly string[]): void {
    let excused = 0;
    for (const line of lines) {
      const atMs = Date.parse(/\d{4}-\d\d-\d\dT[\d:.]+Z/.exec(line)?.[0] ?? '');
      const isNative = / ended \(SIGSEGV\)/.test(line);
      const isWithThread = this.#kills.some(
        ({ who, fromMs, toMs }) => who === 'thread' && fromMs <= atMs && atMs <= toMs + threadDeathMs,
      );
      if (isNative && isWithThread && excused++ < nativeDeathsMax) this.#say(`  not held against the mesh: ${line}`);
      else this.#fail(`ended by itself: ${line}`);
    }
  }

  /** Looks at what pods saw since the last time, and tells the story of what must not be. */
  async #judge(scene: Scene): Promise<void> {
    for (const event of this.#violations().slice(0, storiesMax)) {
      for (const line of await storyOf(scene.lab, event)) this.#say(`  ${line}`);
    }
  }

  #violations(): LoadEvent[] {
    const before = this.#failures.length;
    const violating: LoadEvent[] = [];
    for (const { who, event } of this.#events.splice(0)) {
      const words = `${who} saw: ${JSON.stringify(event)}`;
      if (event.event === 'wrong') this.#fail(`wrong bytes; ${words}`);
      if (event.event === 'intrusion') this.#fail(`bytes for somebody who may not have them; ${words}`);
      if (event.event === 'early' && !this.#isExcused(who, event)) this.#fail(`an end before everything; ${words}`);
      if (event.event === 'flip served' && this.#isForbidden(event)) this.#fail(`served in spite of policy; ${words}`);
      if (this.#failures.length > before + violating.length) violating.push(event);
    }
    return violating;
  }

  /** The kernel ends the connections of a pod that is killed in good order. */
  #isExcused(who: string, { startedMs, atMs }: LoadEvent): boolean {
    if (who !== 'victims' && who !== 'victim') return false;
    return this.#kills.some((kill) => {
      return kill.who === 'victim' && startedMs - momentMs <= kill.toMs && kill.fromMs <= atMs + momentMs;
    });
  }

  #isForbidden({ startedMs, atMs }: LoadEvent): boolean {
    if (this.#kills.some(({ fromMs, toMs }) => fromMs <= atMs && atMs <= toMs + staleAfterKillMs)) return false;
    return this.#denials.some(({ fromMs, toMs }) => startedMs > fromMs && atMs < toMs);
  }

  async #samples(scene: Scene): Promise<Record<string, ProxySample>> {
    return Object.fromEntries(
      await Promise.all(nodes.map(async (node) => [node, await sampleProxy(scene.lab, node)] as const)),
    );
  }

  /** Nothing may be left of what has ended. */
  async #leftovers(scene: Scene, before: Record<string, ProxySample>): Promise<Record<string, ProxySample>> {
    const deadline = Date.now() + settleMs;
    for (;;) {
      // A proxy may be slow to answer; one that does not do so until the deadline fails it.
      const now = await this.#samples(scene).catch((reason: unknown) => String(reason));
      const left = typeof now === 'string' ? [now] : nodes.flatMap((node) => leftOf(node, now[node]!, before[node]!));
      if (typeof now !== 'string' && left.length === 0) return now;
      if (Date.now() > deadline) {
        const dumps = await Promise.all(nodes.map((node) => scene.lab.dump(node)));
        const open = dumps.flatMap((dump: NodeDump) => dump.connections.slice(0, 3));
        this.#fail(`left behind: ${left.join('; ')}; connections: ${JSON.stringify(open)}`);
        return typeof now === 'string' ? {} : now;
      }
      await pause(500);
    }
  }

  #fail(words: string): void {
    this.#failures.push(words);
    this.#say(`FAILED ${words}`);
  }

  #say(words: string): void {
    const line = `${((Date.now() - this.#startedMs) / 1000).toFixed(1).padStart(6)} s  ${words}`;
    this.#timeline.push(line);
    this.#print(line);
  }
}

function leftOf(node: string, now: ProxySample, before: ProxySample): string[] {
  const held = (sample: ProxySample): number => sample.descriptors - sample.sessions;
  return [
    ...(now.connections > 0 ? [`${node}: ${now.connections} connections`] : []),
    ...(now.streams > 0 ? [`${node}: ${now.streams} streams`] : []),
    ...(now.held > 0 ? [`${node}: ${now.held} connections are held`] : []),
    ...(held(now) > held(before) + descriptorsMore
      ? [`${node}: ${JSON.stringify(now)}, before ${JSON.stringify(before)}`]
      : []),
    ...Object.entries(now.resources)
      .filter(([name, count]) => count - now.sessions > (before.resources[name] ?? 0) + resourcesMore)
      .map(([name, count]) => `${node}: ${count} ${name}, before ${before.resources[name] ?? 0}`),
    ...(now.rssMb > before.rssMb + rssMoreMb ? [`${node}: ${now.rssMb} MB, before ${before.rssMb}`] : []),
  ];
}

/** A number once it stays the same for a moment. */
async function settled(read: () => number): Promise<number> {
  for (;;) {
    const before = read();
    await pause(3 * momentMs);
    if (read() === before) return before;
  }
}

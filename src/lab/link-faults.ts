// Faults on the links of nodes and pods: cut, loss, delay, reordering, rate, partition, and healing them.
//
//   loss, cut, partition   nft rules                     delay, reorder   netem, else a detour (`detour.ts`)
//   rate                   tbf (with netem: its own)
import { MeshError, messageOf } from '../base/errors.ts';
import { Detour, type LinkHalf } from './detour.ts';
import { inNetns, run } from './run.ts';
import { ports } from './system-config.ts';

/** A link by its two ends, each a device in a namespace; null is the fabric. */
export interface FaultyLink extends LinkHalf {
  /** As people write it: `node-2`, `shop/web`. */
  readonly name: string;
  readonly farNetns: string;
  readonly farDevice: string;
}

interface State {
  readonly link: FaultyLink;
  cut: boolean;
  loss: number;
  delayMs: number;
  reorder: number;
  rateBits: number;
  detour: Detour | null;
}

export type LinkChange = Partial<Pick<State, 'cut' | 'loss' | 'delayMs' | 'reorder' | 'rateBits'>>;

const table = 'ambient_lab_faults';
const scale = 1_000_000;
const bitsPerByte = 8;
/** Of a `tbf`: a bucket for 10 ms at least one large frame wide, and how long a frame may wait. */
const burstMs = 10;
const burstBytesMin = 80_000;
const queueMs = 200;

/** The faults that are in force, and the rules and devices that make them so. */
export class LinkFaults {
  readonly #states = new Map<string, State>();
  /** A peer that is null is the controller's discovery port. */
  readonly #partitions = new Map<string, readonly [FaultyLink, FaultyLink | null]>();
  #netem: Promise<boolean> | null = null;

  /** Changes the faults of one link. Throws `USAGE` for a share that is none, `CONFIG_INVALID` for what cannot be. */
  async change(link: FaultyLink, change: LinkChange): Promise<void> {
    for (const share of [change.loss ?? 0, change.reorder ?? 0]) {
      if (!(share >= 0 && share <= 1)) throw new MeshError('USAGE', { reason: `a share is a part of 1, not ${share}` });
    }
    const none = { link, cut: false, loss: 0, delayMs: 0, reorder: 0, rateBits: 0, detour: null };
    const state = this.#states.get(link.name) ?? none;
    this.#states.set(link.name, state);
    Object.assign(state, change);
    if (change.delayMs !== undefined || change.reorder !== undefined || change.rateBits !== undefined) {
      await this.#shape(state);
    }
    await this.#applyRules(link.netns);
  }

  /** Between two nodes; between a node and the controller's discovery port where the peer is null. */
  async partition(a: FaultyLink, b: FaultyLink | null): Promise<void> {
    this.#partitions.set([a.name, peerName(b)].sort().join(' '), [a, b]);
    await this.#applyRules(null);
  }

  /** Ends every fault of a link, or every partition from `controller`; of all links when none is named. */
  async heal(name: string | null): Promise<void> {
    const states = [...this.#states.values()].filter(({ link }) => name === null || link.name === name);
    for (const [key, pair] of this.#partitions) {
      if (name === null || pair.some((link) => peerName(link) === name)) this.#partitions.delete(key);
    }
    for (const state of states) {
      this.#states.delete(state.link.name);
      if (state.delayMs + state.reorder + state.rateBits > 0) {
        Object.assign(state, { delayMs: 0, reorder: 0, rateBits: 0 });
        await this.#shape(state);
      }
    }
    for (const netns of new Set([null, ...states.map(({ link }) => link.netns)])) await this.#applyRules(netns);
  }

  /** A link that has gone, with its pod: nothing can be done to it any more. */
  async forget(name: string): Promise<void> {
    const state = this.#states.get(name);
    if (state === undefined) return;
    this.#states.delete(name);
    await state.detour?.abandon();
  }

  /** What is in force, a line for each link. */
  active(): string[] {
    const links = [...this.#states.values()].flatMap((state) => {
      const words = wordsOf(state);
      return words.length === 0 ? [] : [`link of ${state.link.name}: ${words.join(', ')}`];
    });
    return [
      ...links,
      ...[...this.#partitions.values()].map(([a, b]) => `partition between ${a.name} and ${peerName(b)}`),
    ];
  }

  /** Delay, reordering and rate, both ways. */
  async #shape(state: State): Promise<void> {
    const { link, rateBits, delayMs, reorder } = state;
    this.#netem ??= hasNetem();
    const netem = await this.#netem;
    if (!netem) await detourOf(state);
    const late = delayMs > 0 ? ['delay', `${delayMs}ms`, ...(reorder > 0 ? ['reorder', `${reorder * 100}%`] : [])] : [];
    const rate = rateBits > 0 ? ['rate', `${rateBits}bit`] : [];
    const burst = String(Math.max(burstBytesMin, Math.ceil((rateBits / bitsPerByte) * (burstMs / 1000))));
    const tbf = rateBits > 0 ? ['tbf', ...rate, 'burst', burst, 'latency', `${queueMs}ms`] : [];
    const words = netem && late.length > 0 ? ['netem', ...late, ...rate] : tbf;
    for (const [netns, device] of [[link.netns, link.device] as const, [link.farNetns, link.farDevice] as const]) {
      const tc = [...inNetns(netns), 'tc', 'qdisc'];
      await run([...tc, 'del', 'dev', device, 'root']).catch(() => undefined); // There may be none.
      if (words.length > 0) await reported('fault', [...tc, 'add', 'dev', device, 'root', ...words]);
    }
  }

  /** Rewrites the rules of one namespace: of nodes' links on the bridge of the fabric, of pods' links on nodes. */
  async #applyRules(netns: string | null): Promise<void> {
    const family = netns === null ? 'bridge' : 'inet';
    const drops = [...this.#states.values()]
      .filter(({ link, cut, loss }) => link.netns === netns && (cut || loss > 0))
      .map(({ link, cut, loss }) => {
        const drop = cut || loss >= 1 ? 'drop' : `numgen random mod ${scale} < ${Math.round(loss * scale)} drop`;
        return { into: `iifname ${link.device} ${drop}`, out: `oifname ${link.device} ${drop}` };
      });
    const partitions = netns === null ? [...this.#partitions.values()] : [];
    const between = partitions.flatMap(([a, b]) =>
      b === null
        ? []
        : [`iifname ${a.device} oifname ${b.device} drop`, `iifname ${b.device} oifname ${a.device} drop`],
    );
    const alone = partitions.flatMap(([a, b]) => (b === null ? [a.device] : []));
    const chain = (name: string, hook: string, priority: number, rules: readonly string[]) =>
      `chain ${name} {\ntype filter hook ${hook} priority ${priority};\n${rules.join('\n')}\n}`;
    const [first, last] = netns === null ? [0, 0] : [-400, 400];
    const into = drops.map((drop) => drop.into);
    const out = drops.map((drop) => drop.out);
    const text = [
      `table ${family} ${table} {}`,
      `delete table ${family} ${table}`,
      `table ${family} ${table} {`,
      chain('into', 'prerouting', first, into),
      chain('out', 'postrouting', last, out),
      chain('between', 'forward', 0, between),
      ...(netns === null
        ? [
            chain(
              'to_controller',
              'input',
              0,
              alone.map((device) => `iifname ${device} tcp dport ${ports.discovery} drop`),
            ),
            chain(
              'of_controller',
              'output',
              0,
              alone.map((device) => `oifname ${device} tcp sport ${ports.discovery} drop`),
            ),
          ]
        : []),
      '}',
      '',
    ];
    await reported('fault', [...inNetns(netns), 'nft', '-f', '-'], text.join('\n'));
  }
}

const peerName = (link: FaultyLink | null): string => link?.name ?? 'controller';

function wordsOf({ cut, loss, delayMs, reorder, rateBits }: State): string[] {
  return [
    ...(cut ? ['cut'] : []),
    ...(loss > 0 ? [`loss ${Number((loss * 100).toFixed(4))}%`] : []),
    ...(delayMs > 0 ? [`delay ${delayMs}ms`] : []),
    ...(reorder > 0 ? [`reorder ${Number((reorder * 100).toFixed(4))}%`] : []),
    ...(rateBits > 0 ? [`rate ${rateBits}bit/s`] : []),
  ];
}

async function detourOf(state: State): Promise<void> {
  const { delayMs, reorder, link } = state;
  if (delayMs === 0) {
    await state.detour?.end();
    state.detour = null;
  } else if (state.detour !== null) await state.detour.change(delayMs, reorder);
  else {
    state.detour = new Detour(link);
    await state.detour.begin(delayMs, reorder);
  }
}

async function hasNetem(): Promise<boolean> {
  try {
    await run(['tc', 'qdisc', 'add', 'dev', 'lo', 'root', 'netem', 'delay', '0ms']);
    await run(['tc', 'qdisc', 'del', 'dev', 'lo', 'root']);
    return true;
  } catch {
    return false;
  }
}

async function reported(place: string, argv: readonly string[], input = ''): Promise<void> {
  try {
    await run(argv, input);
  } catch (error) {
    throw new MeshError('CONFIG_INVALID', { place, reason: messageOf(error) }, { cause: error });
  }
}

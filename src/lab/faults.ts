// Faults on the links between nodes: cut, loss, delay, partition, and healing them.
import { isMeshError, MeshError, messageOf } from '../base/errors.ts';
import type { NodePlan } from './addresses.ts';
import type { LabFault } from './control-types.ts';
import { nodeLink } from './network.ts';
import { ipBatch, run } from './run.ts';

type LinkFault = Exclude<LabFault, { readonly part: unknown }>;

const table = 'ambient_lab_faults';
const scale = 1_000_000;

/** The faults that are in force; each change rewrites the rules as a whole. */
export class LinkFaults {
  readonly #nodes: () => readonly NodePlan[];
  readonly #loss = new Map<string, number>();
  readonly #partitions = new Map<string, readonly [string, string]>();
  readonly #delayed = new Set<string>();

  constructor(nodes: () => readonly NodePlan[]) {
    this.#nodes = nodes;
  }

  /** Throws `NOT_FOUND` for a node that is not there, `CONFIG_INVALID` for what the kernel cannot do. */
  async apply(fault: LinkFault): Promise<void> {
    const link = this.#link(fault.node);
    switch (fault.type) {
      case 'cut':
        return await ipBatch(null, [`link set ${link} down`]);
      case 'delay':
        return await this.#delay(link, fault.delayMs);
      case 'heal':
        await this.#heal(link);
        break;
      case 'loss':
        this.#setLoss(link, fault.ratio);
        break;
      case 'partition': {
        const peer = this.#link(fault.peer);
        this.#partitions.set([link, peer].sort().join(' '), [link, peer]);
      }
    }
    await this.#applyRules();
  }

  #setLoss(link: string, ratio: number): void {
    if (!(ratio >= 0 && ratio <= 1)) throw new MeshError('USAGE', { reason: `loss is a part of 1, not ${ratio}` });
    if (ratio === 0) this.#loss.delete(link);
    else this.#loss.set(link, ratio);
  }

  async #heal(link: string): Promise<void> {
    this.#loss.delete(link);
    for (const [key, pair] of this.#partitions) if (pair.includes(link)) this.#partitions.delete(key);
    if (this.#delayed.delete(link)) await run(['tc', 'qdisc', 'del', 'dev', link, 'root']);
    await ipBatch(null, [`link set ${link} up`]);
  }

  async #delay(link: string, delayMs: number): Promise<void> {
    try {
      await run(['tc', 'qdisc', 'replace', 'dev', link, 'root', 'netem', 'delay', `${delayMs}ms`]);
      this.#delayed.add(link);
    } catch (error) {
      const reason = `delays need the netem of the kernel: ${reasonOf(error)}`;
      throw new MeshError('CONFIG_INVALID', { place: 'fault delay', reason }, { cause: error });
    }
  }

  async #applyRules(): Promise<void> {
    const losses = [...this.#loss].flatMap(([link, ratio]) => {
      const drop = ratio >= 1 ? 'drop' : `numgen random mod ${scale} < ${Math.round(ratio * scale)} drop`;
      return { into: `iifname ${link} ${drop}`, out: `oifname ${link} ${drop}` };
    });
    const partitions = [...this.#partitions.values()].flatMap(([a, b]) => [
      `iifname ${a} oifname ${b} drop`,
      `iifname ${b} oifname ${a} drop`,
    ]);
    const chain = (name: string, hook: string, rules: readonly string[]) =>
      `chain ${name} {\ntype filter hook ${hook} priority 0;\n${rules.join('\n')}\n}`;
    const text = [
      `table bridge ${table} {}`,
      `delete table bridge ${table}`,
      `table bridge ${table} {`,
      chain(
        'into',
        'prerouting',
        losses.map((loss) => loss.into),
      ),
      chain(
        'out',
        'postrouting',
        losses.map((loss) => loss.out),
      ),
      chain('between', 'forward', partitions),
      '}',
      '',
    ];
    try {
      await run(['nft', '-f', '-'], text.join('\n'));
    } catch (error) {
      throw new MeshError('CONFIG_INVALID', { place: 'fault', reason: reasonOf(error) }, { cause: error });
    }
  }

  #link(nodeName: string): string {
    const node = this.#nodes().find((each) => each.name === nodeName);
    if (node !== undefined) return nodeLink(node);
    const names = this.#nodes().map((each) => each.name);
    throw new MeshError('NOT_FOUND', { what: `node ${nodeName}`, hint: `there are: ${names.join(', ')}` });
  }
}

function reasonOf(error: unknown): string {
  return isMeshError(error) && typeof error.details.reason === 'string' ? error.details.reason : messageOf(error);
}

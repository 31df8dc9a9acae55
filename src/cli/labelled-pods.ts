// The pods that label selectors mean, for flows, which carry no labels: asked of the API server, and again when a flow
// names a pod that was not heard of before.
import { labelTest } from '../base/label-selector.ts';
import type { FlowView } from '../telemetry/access-record.ts';
import type { Mesh } from './mesh.ts';
import { keysOf } from './selection.ts';

/** Of a mesh where pods come all the time, they are not asked for more often. */
const readEveryMs = 1_000;
const nobody: ReadonlySet<string> = new Set();

/** What some selectors mean of a mesh, now. */
export class LabelledPods {
  readonly #mesh: Mesh;
  readonly #selectors: readonly string[];
  readonly #nowMs: () => number;
  #pods = new Map<string, ReadonlySet<string>>();
  readonly #heardOf = new Set<string>();
  #readAtMs = 0;

  private constructor(mesh: Mesh, selectors: readonly string[], nowMs: () => number) {
    this.#mesh = mesh;
    this.#selectors = selectors;
    this.#nowMs = nowMs;
  }

  /** Throws USAGE for what is no selector, and what `Mesh.objects` does. */
  static async read(
    mesh: Mesh,
    selectors: readonly string[],
    nowMs = (): number => performance.now(),
  ): Promise<LabelledPods> {
    for (const selector of selectors) labelTest(selector);
    const pods = new LabelledPods(mesh, selectors, nowMs);
    await pods.#read();
    return pods;
  }

  /** `NAMESPACE/NAME` of the pods that a selector means. */
  readonly of = (selector: string): ReadonlySet<string> => this.#pods.get(selector) ?? nobody;

  /** Looks again when the flow has a pod that no flow had before. */
  async heed({ source, destination }: Pick<FlowView, 'source' | 'destination'>): Promise<void> {
    const keys = [source, destination].map(({ namespace, workload }) => `${namespace}/${workload}`);
    if (keys.every((key) => this.#heardOf.has(key)) || this.#nowMs() - this.#readAtMs < readEveryMs) return;
    for (const key of keys) this.#heardOf.add(key);
    await this.#read().catch(() => {}); // an API server that is away for a moment ends nothing: what is known holds
  }

  async #read(): Promise<void> {
    const lists = this.#selectors.map(async (selector) => {
      return [selector, await keysOf(this.#mesh, ['Pod'], selector)] as const;
    });
    this.#pods = new Map(await Promise.all(lists));
    this.#readAtMs = this.#nowMs();
  }
}

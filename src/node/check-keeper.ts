// What of this node stands in the way of the mesh: looked at after the start and now and then, said in the log, in the
// dump, and to the controller.
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../base/clock.ts';
import { checkNode, type NodeFacts } from '../capture/node-check.ts';
import { readNodeFacts } from '../capture/read-node-facts.ts';
import type { NodeFinding } from '../model/views.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface CheckKeeperOptions {
  readonly backend: NodeFacts['backend'];
  /** False where nothing is captured: then nothing is looked at. */
  readonly isOn: boolean;
  readonly clock: Clock;
  readonly log: Logger;
  /** Other findings than before. */
  readonly onChange: (findings: readonly NodeFinding[]) => void;
  /** The seam that tests replace. */
  readonly read?: (backend: NodeFacts['backend']) => Promise<NodeFacts>;
}

/** Not while a start is in a hurry. */
const firstMs = 2_000;
const againMs = 300_000;

/** `start` looks from then on until `close`. Throws nothing. */
export class CheckKeeper {
  readonly #options: CheckKeeperOptions;
  #findings: readonly NodeFinding[] = [];
  #cancel: (() => void) | null = null;
  #isClosed = false;

  constructor(options: CheckKeeperOptions) {
    this.#options = options;
  }

  get findings(): readonly NodeFinding[] {
    return this.#findings;
  }

  start(): void {
    if (this.#options.isOn) this.#in(firstMs);
  }

  /** Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
  }

  #in(delayMs: number): void {
    if (!this.#isClosed) this.#cancel = this.#options.clock.after(delayMs, () => void this.#look());
  }

  async #look(): Promise<void> {
    const { backend, log, onChange, read = readNodeFacts } = this.#options;
    const findings = checkNode(await read(backend));
    this.#in(againMs);
    if (this.#isClosed || isDeepStrictEqual(findings, this.#findings)) return;
    this.#findings = findings;
    for (const { id, severity, text, fix } of findings) {
      if (severity !== 'info') log[severity === 'error' ? 'error' : 'warn']({ id, fix }, text);
    }
    onChange(findings);
  }
}

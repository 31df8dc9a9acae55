// Capture in the node's own network namespace: one nftables table, one policy route. Built by the node's main thread
// at start; the rules outlive the process on purpose, so that a proxy that is down or being replaced leaks nothing.
import { MeshError } from '../base/errors.ts';
import type { PodCaptureView } from '../model/views.ts';
import type { CaptureBackend, CaptureVerdict } from './backend.ts';
import { bridgeRemovalText } from './bridge-rules.ts';
import { type CommandRunner, failed, runCommand } from './command.ts';
import { type DesiredCapture, sameAddresses, sameList, sameStructure } from './desired.ts';
import { listArguments, readTable, type TableReading } from './readback.ts';
import { ensureRoutes, missingRoutes, removeRoutes } from './routes.ts';
import { tableName } from './rule-text.ts';
import { addressesText, connectionMarks, removalText, rulesetText } from './ruleset.ts';
import { changeSettings, restoreSettings, settingsToChange } from './settings.ts';

interface Applied {
  readonly desired: DesiredCapture;
  /** What the kernel said right after the transaction. */
  readonly structure: string;
}

/** What the kernel has in both tables. */
interface Reading extends TableReading {
  /** Addresses in the bypass sets of the table of the bridge family; null when there is none. */
  readonly bridgeBypass: readonly string[] | null;
}

/** The host backend; every method throws `CAPTURE_FAILED`, or `TOOL_MISSING` when `nft` or `ip` is not there. */
export class HostCapture implements CaptureBackend {
  readonly #run: CommandRunner;
  readonly #ownerMs: number;
  readonly #rules: typeof rulesetText;
  #applied: Applied | null = null;
  #superseded = false;
  /** What the last `verify` found wrong; the next `apply` mends it. */
  #needs = { routes: false, table: false, addresses: false };
  /** Calls run one after the other: two transactions that overlap could each undo the other. */
  #last: Promise<unknown> = Promise.resolve();

  /** `ownerMs` is when this proxy started; of two proxies on a node the later one owns the rules. */
  constructor(ownerMs: number, run: CommandRunner = runCommand, rules = rulesetText) {
    this.#ownerMs = ownerMs;
    this.#run = run;
    this.#rules = rules;
  }

  apply(desired: DesiredCapture): Promise<void> {
    return this.#serially(async () => {
      if (this.#needs.routes) await ensureRoutes(this.#run);
      const before = this.#applied;
      const changed = before === null || (!this.#superseded && !sameStructure(before.desired, desired));
      if (changed || this.#needs.table) return this.#applyWhole(desired);
      if (sameAddresses(before.desired, desired) && !this.#needs.addresses) return;
      if (await this.#applyAddresses(desired)) {
        this.#applied = { desired, structure: before.structure };
        this.#needs = { ...this.#needs, addresses: false };
      } else if (!this.#superseded) {
        await this.#applyWhole(desired);
      }
    });
  }

  verify(): Promise<CaptureVerdict> {
    return this.#serially(async () => {
      const applied = this.#applied;
      if (applied === null) return { state: 'drifted', findings: ['nothing has been applied yet'] };
      const reading = await this.#read();
      const routes = await missingRoutes(this.#run);
      this.#superseded = (reading?.ownerMs ?? 0) > this.#ownerMs;
      const changed = reading !== null && reading.structure !== applied.structure && !this.#superseded;
      const differ = reading === null ? [] : setsThatDiffer(reading, applied.desired);
      this.#needs = { routes: routes.length > 0, table: reading === null || changed, addresses: differ.length > 0 };
      const findings = [...routes];
      if (reading === null) findings.push('table inet ambient is missing');
      if (changed) findings.push('the rules of table inet ambient were changed');
      for (const sets of differ) findings.push(`the ${sets} sets of table inet ambient were changed`);
      if (findings.length > 0) return { state: 'drifted', findings };
      return { state: this.#superseded ? 'superseded' : 'intact', findings };
    });
  }

  remove(): Promise<void> {
    return this.#serially(async () => {
      const reading = await this.#read();
      const text = reading === null || reading.bridgeBypass === null ? removalText() : bothRemoved;
      const { exitCode, stderr } = await this.#run('nft', ['-f', '-'], `${text}\n`);
      if (exitCode !== 0) throw failed('nft', stderr);
      await removeRoutes(this.#run);
      await restoreSettings(reading?.settings ?? {});
      this.#applied = null;
    });
  }

  pods(): readonly PodCaptureView[] {
    return []; // one set of rules for all
  }

  close(): void {}

  async #applyWhole(desired: DesiredCapture): Promise<void> {
    await ensureRoutes(this.#run); // first: a mark without its route would drop the packet
    const before = await this.#read();
    // What an earlier proxy has noted was so before ours.
    const settings = { ...(await settingsToChange()), ...before?.settings };
    const hasBridgeTable = before !== null && before.bridgeBypass !== null;
    const text = this.#rules(desired, { ownerMs: this.#ownerMs, hasBridgeTable, settings });
    const { exitCode, stderr } = await this.#run('nft', ['-f', '-'], text);
    if (exitCode !== 0) throw failed('nft', stderr);
    await changeSettings();
    const reading = await this.#read();
    if (reading === null) {
      const hint = 'another program may have removed it at once; look for a firewall service that flushes all rules';
      throw new MeshError('CAPTURE_FAILED', { reason: 'the table is not there after it was applied', hint });
    }
    this.#applied = { desired, structure: reading.structure };
    this.#needs = { routes: false, table: false, addresses: false };
    this.#superseded = false;
  }

  /** One small transaction for a pod that came or went. Returns false when the table is not as it should be. */
  async #applyAddresses(desired: DesiredCapture): Promise<boolean> {
    const { exitCode } = await this.#run('nft', ['-f', '-'], addressesText(desired));
    return exitCode === 0;
  }

  /** Null when the table for IP is not there. */
  async #read(): Promise<Reading | null> {
    const [inet, bridge] = [await this.#list('inet'), await this.#list('bridge')];
    if (inet === null) return null;
    return { ...inet, structure: `${inet.structure} ${bridge?.structure}`, bridgeBypass: bridge?.bypass ?? null };
  }

  async #list(family: 'inet' | 'bridge'): Promise<TableReading | null> {
    const { exitCode, stdout } = await this.#run('nft', listArguments(family));
    return exitCode === 0 ? readTable(stdout) : null;
  }

  #serially<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#last.then(work, work);
    this.#last = next.catch(() => {});
    return next;
  }
}

const bothRemoved = `${removalText()}\n${bridgeRemovalText()}`;

function setsThatDiffer(reading: Reading, { podCidrs, bypass }: DesiredCapture): string[] {
  const { bridgeBypass } = reading;
  const differ: string[] = [];
  if (reading.pods !== null && !sameList(reading.pods, [...podCidrs].sort())) differ.push('pods');
  if (!sameList(reading.bypass, bypass)) differ.push('bypass');
  if (bridgeBypass !== null && !sameList(bridgeBypass, bypass)) differ.push('bridge bypass');
  return differ;
}

/**
 * True when the rules of an earlier proxy are in place that give replies to connections from client addresses. False
 * when there are none, or it cannot be found out.
 */
export async function clientAddressRulesInPlace(run: CommandRunner = runCommand): Promise<boolean> {
  try {
    const { exitCode, stdout } = await run('nft', ['list', 'chain', 'inet', tableName, 'before_dnat']);
    return exitCode === 0 && stdout.includes(connectionMarks.here.slice('0x'.length));
  } catch {
    return false;
  }
}

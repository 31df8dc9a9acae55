// How often AUDIT policies match, and policies in dry run that would have decided: what a policy does before it does
// it. A thread counts by what the log says (`audit NS/NAME#RULE`, `dry-run deny NS/NAME#RULE`).
const family = 'ambient_policy_hits_total';
/** Of counters that are the family's. */
export const policyHitsPrefix = `${family}/`;
/** Rules that are told apart; the others are counted together. */
const rulesMax = 1_000;
const others = 'other -';

/** The counts of one thread. */
export class PolicyHits {
  readonly #counts = new Map<string, number>();

  count(hits: readonly string[]): void {
    for (const hit of hits) {
      const known = this.#counts.get(hit);
      if (known !== undefined) this.#counts.set(hit, known + 1);
      else if (this.#counts.size < rulesMax) this.#counts.set(hit, 1);
      else this.#counts.set(others, (this.#counts.get(others) ?? 0) + 1);
    }
  }

  /** What was counted, by the names that a scrape understands. */
  counters(): Record<string, number> {
    return Object.fromEntries(Array.from(this.#counts, ([hit, count]) => [`${policyHitsPrefix}${hit}`, count]));
  }
}

/** The labels of such a counter, by what follows its name and `/`: what kind of hit, and of which rule. */
export function policyHitLabels(text: string): { readonly hit: string; readonly rule: string } {
  const blank = text.lastIndexOf(' ');
  return { hit: text.slice(0, blank), rule: text.slice(blank + 1) };
}

// `npm run bench -- flows`: what it costs a proxy to remember its recent flows, against a budget of 2 % of its CPU time
// for each. Shown twice. By itself: what remembering adds to one flow in this process (`flow-alone.ts`), as a part of
// the least that a flow takes in the real programs. And as a whole: those programs, in a lab under load, with and
// without by turns (`flow-lab.ts`); which has all in it, and the machine's noise too.
import { type AloneCost, measureAlone } from './flow-alone.ts';
import { type FlowKind, FlowLab, flowKinds, type WindowPair } from './flow-lab.ts';
import { type Effect, effectOf, medianOf, scaled } from './paired.ts';
import { describeMachine, renderTable } from './report.ts';
import { readable } from './statistics.ts';

export interface FlowsOptions {
  readonly rounds: number;
  readonly seconds: number;
  readonly say: (line: string) => void;
}

export interface FlowsResult {
  readonly text: string;
  /** The budget is exceeded, beyond what could be noise. */
  readonly isOver: boolean;
}

/** In percent. */
const budget = 2;
const aloneRounds = 400;
/** Below the limit of a second: each is remembered. */
const quietPerSecond = 150;
const quietCount = 900;
/** The default of `limits.flowsPerSecond`. */
const flowsPerSecond = 200;
/** Each proxy on the way remembers it. */
const proxiesOf = { connection: 2, request: 1 } as const satisfies Record<FlowKind, number>;
const words = {
  connection: 'a short connection, both node proxies',
  request: 'a request, the waypoint',
} as const satisfies Record<FlowKind, string>;

/** What was measured of one kind. */
export interface Measured {
  readonly kind: FlowKind;
  readonly alone: AloneCost;
  readonly pairs: readonly WindowPair[];
  /** Nanoseconds of a flow at `quietPerSecond`. */
  readonly quietNs: number;
}

/** Measures. Throws what keeps it from that. */
export async function runFlows({ rounds, seconds, say }: FlowsOptions): Promise<FlowsResult> {
  say('by itself');
  const alone = flowKinds.map((kind) => measureAlone(kind, aloneRounds));
  say('in a lab');
  const lab = await FlowLab.start();
  try {
    const pairs: Record<FlowKind, WindowPair[]> = { connection: [], request: [] };
    for (let round = 0; round < rounds; round++) {
      for (const kind of flowKinds) {
        say(`round ${round + 1} of ${rounds}: ${words[kind]}`);
        pairs[kind].push(...(await lab.runLoaded(kind, seconds)));
      }
    }
    const measured: Measured[] = [];
    for (const [at, kind] of flowKinds.entries()) {
      say(`${quietPerSecond} a second: ${words[kind]}`);
      const quietNs = await lab.runQuiet(kind, quietPerSecond, quietCount);
      measured.push({ kind, alone: alone[at]!, pairs: pairs[kind], quietNs });
    }
    return resultOf(measured);
  } finally {
    await lab.close();
  }
}

/** The tables, and whether a row of them is beyond the budget. */
export function resultOf(measured: readonly Measured[]): FlowsResult {
  const { cpus, cpuModel, kernel } = describeMachine();
  const rows = measured.flatMap((each) => [loadedRow(each), quietRow(each)]);
  const beside = measured.map(besideRow);
  const isOver = [...rows, ...beside].some(({ added }) => added.low > budget);
  const text = [
    `flows, ${cpus} CPUs (${cpuModel}), Linux ${kernel}, Node ${process.version}`,
    'by itself: what remembering adds in one process, as a part of what a flow takes (95 of 100 between)',
    renderTable([['flow', 'a second', 'takes µs', 'added ns', 'added', 'budget'], ...rows.map(cellsOf)]),
    'as a whole: the same programs with it beside without, by turns under load; and without beside without',
    renderTable([
      ['flow', 'takes µs', 'added', 'noise alone', 'pairs', 'budget'],
      ...beside.map(({ each, added, noise }) => [
        words[each.kind],
        readable(medianNs(each, 'off') / 1e3),
        percent(added),
        percent(noise),
        String(added.pairs),
        verdictOf(added),
      ]),
    ]),
  ];
  return { text: `${text.join('\n\n')}\n`, isOver };
}

interface Row {
  readonly name: string;
  readonly perSecond: number;
  readonly takesNs: number;
  readonly ns: Effect;
  /** Percent. */
  readonly added: Effect;
}

/** Above the limit: some are remembered, one in 64 of the rest. What takes it is the cheapest tenth of all windows. */
function loadedRow({ kind, alone, pairs }: Measured): Row {
  const off = pairs.map((pair) => pair.off).toSorted((a, b) => a - b);
  const takesNs = off[Math.floor(off.length / 10)]!;
  const perSecond = medianOf(Float64Array.from(pairs, (pair) => pair.perSecond));
  const share = Math.min(1, flowsPerSecond / perSecond);
  const { each, sampled } = alone;
  const mixed = (bound: 'middle' | 'low' | 'high'): number => each[bound] * share + sampled[bound] * (1 - share);
  const one = { middle: mixed('middle'), low: mixed('low'), high: mixed('high'), pairs: each.pairs };
  return rowOf(kind, perSecond, takesNs, one);
}

function quietRow({ kind, alone, quietNs }: Measured): Row {
  return rowOf(kind, quietPerSecond, quietNs, alone.eachCold);
}

function rowOf(kind: FlowKind, perSecond: number, takesNs: number, one: Effect): Row {
  const ns = scaled(one, proxiesOf[kind]);
  return { name: words[kind], perSecond, takesNs, ns, added: scaled(ns, 100 / takesNs) };
}

function cellsOf({ name, perSecond, takesNs, ns, added }: Row): string[] {
  const figures = [readable(perSecond), readable(takesNs / 1e3), spread(ns, (value) => value.toFixed(0))];
  return [name, ...figures, percent(added), verdictOf(added)];
}

function besideRow(each: Measured): { each: Measured; added: Effect; noise: Effect } {
  const differences = each.pairs.map(({ off, on }) => percentMore(off, on));
  // Each with the next, and which of them counts as the one with it is by turns.
  const without = each.pairs.slice(1).map(({ off }, at) => {
    const before = each.pairs[at]!.off;
    return at % 2 === 0 ? percentMore(before, off) : percentMore(off, before);
  });
  return { each, added: effectOf(differences), noise: effectOf(without) };
}

/** Of their mean: what is slow counts no more than what is fast, whichever of them it hits. */
function percentMore(than: number, ns: number): number {
  return (200 * (ns - than)) / (ns + than);
}

function medianNs({ pairs }: Measured, state: 'off' | 'on'): number {
  return medianOf(Float64Array.from(pairs, (pair) => pair[state]));
}

function verdictOf({ low, high }: Effect): string {
  if (high < budget) return `below ${budget} %`;
  return low > budget ? `ABOVE ${budget} %` : 'cannot be told';
}

function percent(effect: Effect): string {
  return `${spread(effect, (value) => value.toFixed(Math.abs(effect.middle) < 1 ? 2 : 1))} %`;
}

function spread({ middle, low, high }: Effect, text: (value: number) => string): string {
  return `${text(middle)} (${text(low)} to ${text(high)})`;
}

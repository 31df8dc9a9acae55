// What `ambientctl simulate` prints: its tables, and its JSON, which is a contract.
import { describe } from '../policy/evaluate.ts';
import type { Cause, Change } from '../simulate/causes.ts';
import { type Difference, type Effect, effects } from '../simulate/differences.ts';
import type { JudgedOutcome, Outcome } from '../simulate/outcome.ts';
import type { SimulatedRow, Simulation } from '../simulate/simulate.ts';
import type { StrictAnswer } from '../simulate/strict.ts';
import type { CommandResult } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import type { Paint, Tone } from './io.ts';
import { ageText, type Column, type TableView, table } from './table.ts';

/** So many requests of a row are named in JSON. */
const requestsMax = 10;
const broken: readonly Effect[] = ['refused', 'unreachable'];

/** The result for a simulation that is at hand. */
export function simulationResult(
  simulation: Simulation,
  change: Change,
  ignored: readonly { readonly kind: string; readonly count: number }[],
  nowMs: number,
): CommandResult {
  const { rows, effects: found, flows, unchanged, notJudged } = simulation;
  const isBroken = broken.some((effect) => (found[effect] ?? 0) > 0);
  return {
    data: { changes: rows.map(rowJson), summary: { flows, unchanged, notJudged, effects: found } },
    text: (view) =>
      `${rows.length === 0 ? '' : `${rowsText(rows, view, nowMs)}\n`}${summaryText(simulation, view.paint)}`,
    talk: (paint) => talkText(simulation, change, ignored, paint),
    exitCode: isBroken ? exitCodes.failureFound : exitCodes.fine,
  };
}

interface Line {
  readonly row: SimulatedRow;
  readonly shown: readonly Difference[];
  readonly count: number;
  readonly lastSeen: string;
}

function rowsText(rows: readonly SimulatedRow[], view: TableView, nowMs: number): string {
  const lines = rows.flatMap((row): Line[] => {
    if (!view.wide) return [{ row, shown: row.differences, count: row.count, lastSeen: row.lastSeen }];
    return row.differences.map((one) => ({ row, shown: [one], count: one.call.count, lastSeen: one.call.lastSeen }));
  });
  const columns: readonly Column<Line>[] = [
    { header: 'CHANGE', value: ({ row }) => first(row).effects.join(', '), tone: ({ row }) => toneOf(first(row)) },
    { header: 'FROM', value: ({ row }) => row.from },
    { header: 'TO', value: ({ row }) => row.to },
    { header: 'WHAT', value: ({ shown }) => whatText(shown) },
    { header: 'FLOWS', value: ({ count }) => count },
    { header: 'LAST_SEEN', value: ({ lastSeen }) => ageText(lastSeen, nowMs) },
    { header: 'BY', value: ({ row }) => (row.by === null ? null : causeText(row.by)) },
    { header: 'AT', value: ({ row }) => (row.by === null ? null : placeText(row.by)) },
    { header: 'BEFORE', value: ({ shown }) => outcomeText(shown[0]!.before), wide: true },
    { header: 'AFTER', value: ({ shown }) => outcomeText(shown[0]!.after), wide: true },
    { header: 'DETAIL', value: ({ shown }) => detailText(shown[0]!) },
  ];
  return table(columns, lines, view);
}

function first(row: SimulatedRow): Difference {
  return row.differences[0]!;
}

function toneOf({ effects: [effect] }: Difference): Tone {
  if (effect === 'refused' || effect === 'unreachable') return 'bad';
  return effect === 'allowed' || effect === 'encrypted' || effect === 'waypoint-gained' ? 'good' : 'warn';
}

function whatText(differences: readonly Difference[]): string {
  const asked = new Set(
    differences.map(({ call: { request } }) => (request ? `${request.method} ${request.path}` : 'TCP')),
  );
  const [one = ''] = asked;
  return asked.size === 1 ? one : `${asked.size} kinds of request`;
}

function causeText({ kind, namespace, name, rule, deleted }: Cause): string {
  const title = `${kind} ${namespace === '' ? '' : `${namespace}/`}${name}`;
  return `${deleted ? 'deleting ' : ''}${title}${rule === null ? '' : `, rule ${rule}`}`;
}

function placeText({ file, line, column }: Cause): string | null {
  return file === null ? null : line === null ? file : `${file}:${line}:${column}`;
}

/** What differs, in words. */
function detailText({ effects: [effect], before, after, possible, dependsOn }: Difference): string {
  switch (effect) {
    case 'depends':
      return `on ${dependsOn.join(', ')}: ${possible.map((one) => possibleText(one, before, after)).join(' or ')}`;
    case 'rerouted':
      return reroutedText(before, after);
    case 'timeout':
      return `${timeText(before)} -> ${timeText(after)}`;
    case 'retries':
      return `${before.retries} -> ${after.retries}`;
    case 'waypoint-lost':
      return `past ${before.waypoint}`;
    case 'waypoint-gained':
      return `through ${after.waypoint}`;
    case 'allowed':
      return before.decidedBy === null ? before.reason : `refused by ${describe(before.decidedBy)} today`;
    default:
      return after.reason;
  }
}

function possibleText(one: Effect | 'none', before: Outcome, after: Outcome): string {
  if (one === 'none') return 'unchanged';
  return one === 'rerouted' ? `rerouted (${reroutedText(before, after)})` : one;
}

/** `cart.shop -> cart.shop 90%, cart-v2.shop 10%`; where the names stay, other pods of theirs. */
function reroutedText(before: Outcome, after: Outcome): string {
  const [was, will] = [backendsText(before), backendsText(after)];
  return was === will ? `other endpoints of ${will}` : `${was} -> ${will}`;
}

function backendsText({ backends, status }: Outcome): string {
  if (status !== null) return `answer ${status}`;
  return backends
    .map(({ service, subset, percent }) => {
      const title = subset === null ? service : `${service}/${subset}`;
      return backends.length === 1 ? title : `${title} ${percent}%`;
    })
    .join(', ');
}

function timeText({ timeoutMs }: Outcome): string {
  return timeoutMs === 0 ? 'no time-out' : `${timeoutMs}ms`;
}

function outcomeText(outcome: Outcome): string {
  const { verdict, decidedBy, transport, waypoint } = outcome;
  const by = decidedBy === null || verdict === 'allow' ? '' : ` by ${decidedBy.namespace}/${decidedBy.name}`;
  const over = verdict === 'allow' ? ` ${transport}${waypoint === null ? '' : ` through ${waypoint}`}` : '';
  return `${verdict}${by}${over}`;
}

function summaryText({ flows, unchanged, notJudged, effects: found }: Simulation, paint: Paint): string {
  const parts = (Object.keys(effects) as Effect[]).flatMap((effect) => {
    const count = found[effect] ?? 0;
    const words = `${count} ${effects[effect]}`;
    return count === 0 ? [] : [broken.includes(effect) ? paint(words, 'bad') : words];
  });
  const rest = [`${unchanged} would be as before`, ...(notJudged > 0 ? [`${notJudged} of what is gone`] : [])];
  return `of ${flows} flow${flows === 1 ? '' : 's'} ${[...parts, ...rest].join(', ')}\n`;
}

function talkText(
  { flows, effects: found, rows }: Simulation,
  { applied, deleted }: Change,
  ignored: readonly { readonly kind: string; readonly count: number }[],
  paint: Paint,
): string {
  const kinds = ignored.map(({ kind, count }) => `${kind} (${count})`).join(', ');
  const left = kinds === '' ? '' : `not looked at, since the mesh is not made of it: ${kinds}\n`;
  const objects = applied.length + deleted.length;
  if (flows === 0)
    return `${left}${paint('no flow was seen, so nothing is known', 'warn')}; let there be traffic first\n`;
  if (broken.some((effect) => found[effect] !== undefined)) {
    const todo = [
      ...(found.refused === undefined ? [] : ['widen what refuses']),
      ...(found.unreachable === undefined ? [] : ['name what is there']),
    ];
    return `${left}next: ${todo.join(', ')}, or ask ambientctl why FROM TO about one of them\n`;
  }
  const open = rows.filter(({ differences: [one] }) =>
    one?.possible.some((effect) => broken.includes(effect as Effect)),
  );
  const count = open.reduce((sum, row) => sum + row.count, 0);
  const but = count === 0 ? '' : `, unless those ${count} are by what nobody recorded`;
  return `${left}${objects} object${objects === 1 ? '' : 's'}: no flow that was seen would be refused${but}\n`;
}

function rowJson({ from, to, by, count, lastSeen, differences }: SimulatedRow): unknown {
  const [{ effects: found, possible, dependsOn, before, after, call }] = differences as [Difference];
  const asked = new Map(
    differences.flatMap(({ call: { request } }) =>
      request === null ? [] : [[`${request.method} ${request.path}`, request]],
    ),
  );
  return {
    change: found[0],
    changes: found,
    from: { name: from, identity: call.source.identity },
    to: { name: to, service: call.service, port: call.port },
    requests: [...asked.values()].slice(0, requestsMax).map(({ method, path }) => ({ method, path })),
    flows: count,
    lastSeen,
    by,
    dependsOn,
    possible,
    before: outcomeJson(before),
    after: outcomeJson(after),
  };
}

function outcomeJson({ endpoints: _, ...outcome }: JudgedOutcome): Outcome {
  return outcome;
}

/** The result for an answer about STRICT. */
export function strictResult(answer: StrictAnswer, nowMs: number): CommandResult {
  return {
    data: answer,
    text: (view) => strictText(answer, view, nowMs),
    talk: () => `${nextStep(answer)}\n`,
    exitCode: answer.answer === 'yes' ? exitCodes.fine : exitCodes.failureFound,
  };
}

function strictText(answer: StrictAnswer, view: TableView, nowMs: number): string {
  const { plaintext, callersNeverSeen, notEnrolled, exceptions, namespace, flows } = answer;
  const scope = namespace === null ? 'the mesh' : `namespace ${namespace}`;
  const cut = plaintext.filter(({ withStrict }) => withStrict === 'refused');
  const lost = cut.reduce((sum, { count }) => sum + count, 0);
  const words = {
    yes: `${view.paint('yes', 'good')}: of ${flows} flows none in plaintext would be newly refused`,
    no: `${view.paint('no', 'bad')}: ${lost} of ${flows} flows came in plaintext and would be refused`,
    unknown: `${view.paint('not known', 'warn')}: no flow into it was seen`,
  }[answer.answer];
  const columns: readonly Column<(typeof plaintext)[number]>[] = [
    { header: 'CALLER', value: ({ from }) => from },
    { header: 'TO', value: ({ to }) => to },
    { header: 'PLAINTEXT_FLOWS', value: ({ count }) => count },
    { header: 'LAST_SEEN', value: ({ lastSeen }) => ageText(lastSeen, nowMs) },
    {
      header: 'WITH_STRICT',
      value: ({ withStrict }) => withStrict,
      tone: ({ withStrict }) => (withStrict === 'refused' ? 'bad' : 'dim'),
    },
  ];
  const lines = [`can ${scope} turn on STRICT? ${words}`];
  if (plaintext.length > 0) lines.push('', table(columns, plaintext, view).trimEnd(), '');
  if (callersNeverSeen.length > 0) lines.push(`outside the mesh, and not seen to call: ${callersNeverSeen.join(', ')}`);
  if (notEnrolled.length > 0)
    lines.push(`not enrolled, so that STRICT protects nothing of it: ${notEnrolled.join(', ')}`);
  if (exceptions.length > 0)
    lines.push(`still open to plaintext, by a PeerAuthentication of its own: ${exceptions.join(', ')}`);
  return `${lines.join('\n')}\n`;
}

function nextStep({ answer, plaintext, namespace, manifest }: StrictAnswer): string {
  if (answer === 'unknown') return 'next: let there be traffic, and ask again';
  if (answer === 'yes') {
    return `next: apply this, and watch ambientctl tap -f --verdict refused${namespace === null ? '' : ` -n ${namespace}`}\n${manifest.trimEnd()}`;
  }
  const callers = plaintext.filter(({ withStrict }) => withStrict === 'refused').map(({ from }) => from);
  const spaces = [...new Set(callers.flatMap((from) => (from.includes('/') ? [from.split('/')[0]!] : [])))];
  const how = spaces.length === 0 ? 'bring these callers into the mesh' : `ambientctl enroll ${spaces.join(' ')}`;
  return `next: ${how}; what cannot be enrolled needs a PeerAuthentication of its own with PERMISSIVE`;
}

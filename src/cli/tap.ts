// `ambientctl tap`: what happens in the mesh, connection by connection and request by request: the recent past as the
// proxies remember it, what comes with `--follow`, or what was saved in a file.
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { MeshError, messageOf } from '../base/errors.ts';
import { untilAborted } from '../base/line-streams.ts';
import { flowLine } from '../model/flow-line.ts';
import type { FlowView } from '../telemetry/access-record.ts';
import { type FlowTerm, flowFilter, labelFields } from '../telemetry/flow-filter.ts';
import { isToldOnce } from '../telemetry/flow-verdict.ts';
import { type Command, type CommandContext, durationOption, flagOption, textOption } from './command.ts';
import { flowColumns, flowDict } from './flow-line.ts';
import { coloured, plain } from './io.ts';
import { LabelledPods } from './labelled-pods.ts';
import { refuseSelector } from './selection.ts';
import { table } from './table.ts';
import { meshOf } from './which-mesh.ts';

const lastDefault = 20;

/** Prints flows; with `--follow` until Ctrl-C. Exit 0, whatever became of the flows. */
export const tap: Command = async (context) => {
  const terms = (context.options.terms ?? []) as readonly FlowTerm[];
  const pods = await podsOf(context, terms);
  const wants = flowFilter(terms, pods?.of);
  const sinceMs = textOption(context, 'since') === undefined ? 0 : Date.now() - durationOption(context, 'since', 0);
  const isWanted = (flow: FlowView): boolean =>
    (flagOption(context, 'allSides') || isToldOnce(flow)) && Date.parse(flow.time) >= sinceMs && wants(flow);
  const isFollowing = flagOption(context, 'follow') && textOption(context, 'inputFile') === undefined;
  const print = printerOf(context);
  if (isFollowing) {
    for await (const flow of readFlowsOf(context, true)) {
      await pods?.heed(flow);
      if (isWanted(flow)) print([flow]);
    }
    return 0;
  }
  const flows: FlowView[] = [];
  for await (const flow of readFlowsOf(context, false)) if (isWanted(flow)) flows.push(flow);
  flows.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
  print(flows.slice(-lastOf(context)));
  return 0;
};

/** The pods that the terms mean by their labels; null where none does. */
async function podsOf(context: CommandContext, terms: readonly FlowTerm[]): Promise<LabelledPods | null> {
  const selectors = terms.filter(({ field }) => labelFields.includes(field)).map(({ value }) => value);
  if (selectors.length === 0) return null;
  refuseSelector(textOption(context, 'inputFile'));
  return LabelledPods.read(await meshOf(context), selectors);
}

function lastOf(context: CommandContext): number {
  const text = textOption(context, 'last');
  if (text === undefined) return textOption(context, 'since') === undefined ? lastDefault : Number.MAX_SAFE_INTEGER;
  const last = Number(text);
  if (Number.isInteger(last) && last > 0) return last;
  throw new MeshError('USAGE', { reason: `--last '${text}' is no number of flows` });
}

/** Flows of the mesh, or of the file that the option `--OPTION` names. Throws NOT_REACHABLE, INPUT_UNREADABLE. */
export async function* readFlowsOf(
  context: CommandContext,
  follow: boolean,
  option = 'inputFile',
): AsyncIterable<FlowView> {
  const file = textOption(context, option);
  if (file !== undefined) {
    yield* readFlows(linesOf(file === '-' ? context.io.stdin : createReadStream(file)), file);
    return;
  }
  const isFromNow = textOption(context, 'last') === undefined && textOption(context, 'since') === undefined;
  const query = follow ? `follow=1${isFromNow ? '&last=0' : `&last=${lastOf(context)}`}` : '';
  const interruption = context.io.interruption();
  const lines = (await meshOf(context)).stream(`/flows?${query}`, interruption);
  yield* readFlows(untilAborted(lines, interruption), 'the controller');
  // Half of what is remembered is no answer; who follows has had it all.
  if (interruption.aborted && !follow) throw new DOMException('interrupted', 'AbortError');
}

async function* linesOf(input: Readable): AsyncIterable<string> {
  const failure = new Promise<never>((_, reject) => input.once('error', reject));
  failure.catch(() => {});
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })[Symbol.asyncIterator]();
  for (;;) {
    const item = await Promise.race([lines.next(), failure]);
    if (item.done === true) return;
    yield item.value;
  }
}

/** Flows of lines of JSON. Throws INPUT_UNREADABLE with file and line for what is none. */
async function* readFlows(lines: AsyncIterable<string>, place: string): AsyncIterable<FlowView> {
  let number = 0;
  try {
    for await (const line of lines) {
      number++;
      if (line.trim() === '') continue;
      const flow = JSON.parse(line) as FlowView;
      if (typeof flow?.time !== 'string' || !flow.source || !flow.destination || !flow.reporter) {
        throw new MeshError('INPUT_UNREADABLE', { place: `${place}:${number}`, reason: 'this line is no flow' });
      }
      yield flow;
    }
  } catch (error) {
    if (error instanceof MeshError) throw error;
    const at = number === 0 ? place : `${place}:${number}`;
    throw new MeshError('INPUT_UNREADABLE', { place: at, reason: messageOf(error) }, { cause: error });
  }
}

function printerOf(context: CommandContext): (flows: readonly FlowView[]) => void {
  const { io } = context;
  const paint = io.stdoutColour ? coloured : plain;
  const each = (show: (flow: FlowView) => string) => (flows: readonly FlowView[]) => {
    for (const flow of flows) io.stdout.write(show(flow));
  };
  switch (textOption(context, 'output')) {
    case 'json':
      return each((flow) => `${JSON.stringify(flow)}\n`);
    case 'dict':
      return each((flow) => `${flowDict(flow)}\n`);
    case 'table':
      return (flows) =>
        void io.stdout.write(table(flowColumns, flows, { wide: false, paint }, 'no flow is remembered that fits'));
    default:
      return each((flow) => `${flowLine(flow, paint)}\n`);
  }
}

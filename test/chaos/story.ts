// What is known of a stream that ended as it must not: what was done to the lab meanwhile is the timeline's; here is
// what the programs said in that time, and the records that the proxies at both ends have of this very connection.
import type { LabPart } from '../../src/lab/control-types.ts';
import type { AccessRecord } from '../../src/telemetry/access-record.ts';
import { node1, node2, type TestLab } from '../lab/harness.ts';
import type { LoadEvent } from './load.ts';

const aroundMs = 1_500;
const linesMax = 60;
const lastWordsMax = 25;
const parts: readonly LabPart[] = [
  { kind: 'lab' },
  { kind: 'controller' },
  { kind: 'node', name: node1 },
  { kind: 'node', name: node2 },
];

/** Lines for people: logs of the lab's programs around the stream's life, and access records of its client's port. */
export async function storyOf(lab: TestLab, event: LoadEvent): Promise<string[]> {
  const port = event.head?.port ?? 0;
  const [fromMs, toMs] = [event.startedMs - aroundMs, event.atMs + aroundMs];
  const lines: string[] = [];
  for (const part of parts) {
    const name = part.kind === 'node' ? part.name : part.kind;
    for await (const line of lab.client.logs(part)) {
      const record = parsed(line);
      const atMs = Date.parse(record.time ?? line.split(' ', 1)[0]!);
      const isOfIt = record.kind !== 'connection' || (record.source?.address.endsWith(`:${port}`) ?? false);
      if (isOfIt && atMs >= fromMs && atMs <= toMs) lines.push(`${name}: ${line}`);
    }
  }
  return lines.slice(-linesMax);
}

const deaths = / ended \(|data thread died|failed outside of its task/;
const meantDeaths = / ended \(SIGKILL\)|asked to crash/;

/** Lines about data threads that died and programs that ended although nobody made them. */
export async function deathsOf(lab: TestLab): Promise<string[]> {
  const lines: string[] = [];
  for (const part of parts) {
    const name = part.kind === 'node' ? part.name : part.kind;
    for await (const line of lab.client.logs(part)) {
      if (deaths.test(line) && !meantDeaths.test(line)) lines.push(`${name}: ${line}`);
    }
  }
  return lines;
}

/** The last lines of the lab's programs, records of connections left out. */
export async function lastWordsOf(lab: TestLab): Promise<string[]> {
  const lines: string[] = [];
  for (const part of parts) {
    const name = part.kind === 'node' ? part.name : part.kind;
    const own: string[] = [];
    for await (const line of lab.client.logs(part))
      if (parsed(line).kind !== 'connection') own.push(`${name}: ${line}`);
    lines.push(...own.slice(-lastWordsMax));
  }
  return lines;
}

/** A line of a log: an access record, one of a program's own, or text. */
function parsed(line: string): Partial<AccessRecord> {
  try {
    return JSON.parse(line) as Partial<AccessRecord>;
  } catch {
    return {};
  }
}

// `npm run soak -- [--minutes N]`: the load of chaos without faults, for as long as wanted: memory, descriptors and the
// delay of the event loop must stay flat. Exit code 0 only if they do.
import { parseArgs } from 'node:util';
import { node1, node2 } from '../lab/harness.ts';
import { pause } from './actions.ts';
import { type ProxySample, sampleProxy } from './proxy-sample.ts';
import { Scene } from './scene.ts';
import { sparkline } from './sparkline.ts';

const usage = `usage: npm run soak -- [--minutes N] [--gentle]
  Mixed load between two nodes for N minutes (default 20), without faults; prints memory, descriptors and the delay of
  the data threads' event loops of both proxies as charts, and fails if they grow. --gentle rests long
  between streams: for a machine that has other things to do.
`;
const sampleEveryMs = 2_000;
const endMs = 60_000;
const gentleFactor = 20;
/** Of the second half against the first. The heap of V8 settles late; a leak is more than that. */
const rssFactor = 1.25;
const descriptorsMore = 10;
/** Other programs of the machine have their part in it. */
const delayFactor = 3;
const delayMoreMs = 20;

interface Row {
  readonly name: string;
  readonly unit: string;
  readonly read: (sample: ProxySample) => number;
}

const rows: readonly Row[] = [
  { name: 'memory', unit: 'MB', read: ({ rssMb }) => rssMb },
  { name: 'descriptors', unit: '', read: ({ descriptors }) => descriptors },
  { name: 'connections', unit: '', read: ({ connections }) => connections },
  { name: 'delay, p99', unit: 'ms', read: ({ delayMs }) => delayMs },
  { name: 'delay, most', unit: 'ms', read: ({ longestMs }) => longestMs },
];

/** What grew, in words. */
function growth(node: string, samples: readonly ProxySample[]): string[] {
  const half = Math.floor(samples.length / 2);
  const mean = (part: readonly ProxySample[], read: Row['read']): number =>
    part.reduce((sum, each) => sum + read(each), 0) / Math.max(1, part.length);
  // The first quarter is warming up.
  const early = samples.slice(Math.floor(half / 2), half);
  const late = samples.slice(half);
  const [rssBefore, rss] = [mean(early, rows[0]!.read), mean(late, rows[0]!.read)];
  const [fdsBefore, fds] = [mean(early, rows[1]!.read), mean(late, rows[1]!.read)];
  const [delayBefore, delay] = [mean(early, rows[3]!.read), mean(late, rows[3]!.read)];
  return [
    ...(delay > delayBefore * delayFactor + delayMoreMs
      ? [`event-loop delay of ${node}: ${delayBefore.toFixed(1)} to ${delay.toFixed(1)} ms`]
      : []),
    ...(rss > rssBefore * rssFactor ? [`memory of ${node}: ${Math.round(rssBefore)} to ${Math.round(rss)} MB`] : []),
    ...(fds > fdsBefore + descriptorsMore ? [`descriptors of ${node}: ${Math.round(fdsBefore)} to ${fds}`] : []),
  ];
}

function chart(node: string, samples: readonly ProxySample[]): string {
  const lines = rows.map(({ name, unit, read }) => {
    const values = samples.map(read);
    const [least, most] = [Math.min(...values), Math.max(...values)].map((value) => value.toFixed(0));
    return `  ${name.padEnd(12)} ${sparkline(values)}  ${least} to ${most} ${unit}`;
  });
  return `${node}\n${lines.join('\n')}\n`;
}

async function soak(minutes: number, restFactor: number): Promise<string[]> {
  const failures: string[] = [];
  const scene = await Scene.open((who, event) => {
    if (event.event !== 'flip served') failures.push(`${who} saw: ${JSON.stringify(event)}`);
  });
  const samples = new Map<string, ProxySample[]>([node1, node2].map((node) => [node, []]));
  try {
    await scene.begin(restFactor);
    const deadline = Date.now() + minutes * 60_000;
    while (Date.now() < deadline && failures.length === 0) {
      for (const [node, list] of samples) list.push(await sampleProxy(scene.lab, node));
      await pause(sampleEveryMs);
    }
    const tally = await scene.end(endMs);
    for (const [name, count] of Object.entries(tally).sort()) process.stdout.write(`${name.padEnd(24)} ${count}\n`);
    for (const [node, list] of samples) {
      process.stdout.write(`\n${chart(node, list)}`);
      failures.push(...growth(node, list));
      const { connections, streams } = await sampleProxy(scene.lab, node);
      if (connections + streams > 0) failures.push(`${node} has ${connections} connections, ${streams} streams left`);
    }
  } finally {
    await scene.close();
  }
  return failures;
}

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '20' },
    gentle: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  },
});
const minutes = Number(values.minutes);
if (values.help || !(minutes > 0)) {
  process.stderr.write(usage);
  process.exitCode = values.help ? 0 : 2;
} else {
  const failures = await soak(minutes, values.gentle ? gentleFactor : 1);
  for (const failure of failures) process.stdout.write(`FAILED: ${failure}\n`);
  process.exitCode = failures.length === 0 ? 0 : 1;
}

// What `npm run demo` does: brings the sample shop up in a lab and shows its edges, live. `--once` prints them once
// and judges them.
import { parseArgs } from 'node:util';
import { ensureTools, findTool } from '../../native-free/tools.ts';
import { MeshError, messageOf } from '../base/errors.ts';
import { projectFile } from '../base/project-files.ts';
import { type LabClient, listLabs } from '../lab/control-client.ts';
import { launchLab } from '../lab/launch.ts';
import { type ExpectedEdge, judgeEdges, judgementText, readExpectedEdges } from './demo-edges.ts';
import { requestTable } from './demo-requests.ts';
import { type Audience, WaypointScene } from './demo-waypoint.ts';
import { EdgeMeter, type EdgeRow, edgeTable } from './edges.ts';
import { exitCodeOf, exitCodes } from './exit-codes.ts';
import { type CliIo, coloured, endsInItsOwnTime, plain } from './io.ts';
import { sayProgress } from './lab-up.ts';
import { LabMesh } from './mesh.ts';
import { PageRelay } from './page-relay.ts';
import { pause, Redraw } from './redraw.ts';

const usualName = 'demo';
const shopFolder = projectFile('deploy/samples/shop');
const readyTimeoutMs = 60_000;
/** How long every edge may take to carry its first traffic, once all is ready. */
const trafficTimeoutMs = 30_000;
const sampleEveryMs = 1000;

const usage = `npm run demo [-- --once] [--keep]

Runs a shop of seven services on two nodes, on this machine, and shows who talks to whom; then gives it a waypoint, and
shows its requests: a canary, a payment service that fails one in five, an inventory that is slow.
  --once   print the tables once; exit 0 only if every edge carries traffic as the samples say, checkout v2 gets one
           request in ten, the shop stays green and charges no order twice, and the table says which service is slow
  --keep   leave the lab running at the end (ambientctl lab down ${usualName} ends it)
`;

/** Runs the demo and returns its exit code. Never throws. */
export async function runDemo(args: readonly string[], io: CliIo): Promise<number> {
  const paint = io.stderrColour ? coloured : plain;
  try {
    const { once, keep, help } = demoOptions(args);
    if (help) {
      io.stdout.write(usage);
      return exitCodes.fine;
    }
    const expected = readExpectedEdges(shopFolder);
    ensureTools(['unshare', 'nsenter', 'mount', 'ip', 'nft', 'perl']);
    endsInItsOwnTime(io.interruption());
    const lab = await bringUp(io, keep);
    if (lab === null) return exitCodes.interrupted;
    const page = new PageRelay(new LabMesh(lab));
    try {
      io.stderr.write(`see it live: ${await page.start(null)}\n`);
      return once ? await showAllOnce(io, lab, expected) : await showLive(io, lab, expected.length);
    } finally {
      await page.close();
      if (keep) io.stderr.write(`the lab goes on; end it with: npx ambientctl lab down ${lab.lab.name}\n`);
      else await lab.down();
    }
  } catch (error) {
    io.stderr.write(`${paint('demo:', 'bad')} ${MeshError.from(error).message}\n`);
    return exitCodeOf(error);
  }
}

function demoOptions(args: readonly string[]): { once: boolean; keep: boolean; help: boolean } {
  const flag = { type: 'boolean', default: false } as const;
  try {
    return parseArgs({ args: [...args], options: { once: flag, keep: flag, help: flag } }).values;
  } catch (error) {
    throw new MeshError('USAGE', { reason: `${messageOf(error)}; npm run demo -- --help shows what there is` });
  }
}

function isRunning(name: string): boolean {
  return listLabs().some((lab) => lab.name === name);
}

/** Starts the lab; null when Ctrl-C came first. */
async function bringUp(io: CliIo, keep: boolean): Promise<LabClient | null> {
  const startedAt = performance.now();
  const name = isRunning(usualName) ? `${usualName}-${process.pid}` : usualName;
  const interruption = io.interruption();
  try {
    const lab = await launchLab({
      name,
      paths: [shopFolder],
      timeoutMs: readyTimeoutMs,
      foreground: !keep,
      waypointConfig: { log: { format: 'json' } },
      onProgress: (progress) => sayProgress(io, progress),
      signal: interruption,
    });
    io.stderr.write(`ready after ${((performance.now() - startedAt) / 1000).toFixed(1)} s\n`);
    return lab;
  } catch (error) {
    if (interruption.aborted) return null;
    throw error;
  }
}

async function showAllOnce(io: CliIo, lab: LabClient, expected: readonly ExpectedEdge[]): Promise<number> {
  const edges = await showOnce(io, lab, expected);
  if (edges !== exitCodes.fine) return edges;
  io.stderr.write('\nthe shop gets a waypoint: its requests are seen now\n');
  const scene = new WaypointScene(lab);
  try {
    await scene.start();
    const view = { wide: false, paint: io.stdoutColour ? coloured : plain };
    const audience: Audience = {
      step: (text) => io.stderr.write(`\n${text}\n`),
      requests: (rows) => io.stdout.write(requestTable(rows, view)),
      demands: (demands) => {
        for (const { what, met, seen } of demands) io.stderr.write(`${met ? 'yes' : 'NO'}: ${what}: ${seen}\n`);
      },
    };
    const isMet = await scene.judge(audience, () => pause(sampleEveryMs, io.interruption()));
    if (isMet === null) return exitCodes.interrupted;
    return isMet ? exitCodes.fine : exitCodes.failureFound;
  } finally {
    scene.close();
  }
}

async function showOnce(io: CliIo, lab: LabClient, expected: readonly ExpectedEdge[]): Promise<number> {
  const meter = new EdgeMeter();
  const deadline = performance.now() + trafficTimeoutMs;
  let rows: EdgeRow[] = await meter.sample(new LabMesh(lab));
  let judged = judgeEdges(expected, rows);
  for (let met = false; !met && performance.now() < deadline; ) {
    if (!(await pause(sampleEveryMs, io.interruption()))) return exitCodes.interrupted;
    rows = await meter.sample(new LabMesh(lab));
    judged = judgeEdges(expected, rows);
    met = judged.every((one) => one.met);
  }
  // One more time, so that edges which have only just appeared have a speed too.
  if (!(await pause(sampleEveryMs, io.interruption()))) return exitCodes.interrupted;
  rows = await meter.sample(new LabMesh(lab));
  judged = judgeEdges(expected, rows);
  io.stdout.write(edgeTable(telling(rows), { wide: false, paint: io.stdoutColour ? coloured : plain }));
  const wrong = judged.filter((one) => !one.met);
  for (const one of wrong) io.stderr.write(`${judgementText(one)}\n`);
  io.stderr.write(`${judged.length - wrong.length} of ${judged.length} edges carry traffic as the samples say\n`);
  return wrong.length === 0 ? exitCodes.fine : exitCodes.failureFound;
}

async function showLive(io: CliIo, lab: LabClient, edges: number): Promise<number> {
  io.stderr.write(tryThis(lab.lab.name, edges));
  const meter = new EdgeMeter();
  const screen = new Redraw(io);
  const view = { wide: false, paint: io.stdoutColour ? coloured : plain };
  await meter.sample(new LabMesh(lab));
  const scene = new WaypointScene(lab);
  await scene.start();
  await Promise.all([scene.failPayments('before'), scene.slowInventory()]);
  scene.meter.reset();
  while (await pause(sampleEveryMs, io.interruption())) {
    const edges = edgeTable(telling(await meter.sample(new LabMesh(lab))), view);
    screen.draw(`${edges}\n${requestTable(scene.meter.rows(), view)}`);
  }
  scene.close();
  screen.end();
  io.stderr.write('\nending the lab\n');
  return exitCodes.fine;
}

/**
 * Without the calls that came before their destination was up: what only failed says nothing about who talks to whom.
 */
function telling(rows: readonly EdgeRow[]): EdgeRow[] {
  return rows.filter((row) => row.opened > 0 || row.refused > 0);
}

function tryThis(labName: string, edges: number): string {
  const ask =
    findTool('curl') === null
      ? `node -e "fetch('http://catalog/').then(r=>r.text()).then(console.log)"`
      : 'curl -s http://catalog/';
  const others = listLabs().some((lab) => lab.name !== labName);
  const which = others ? ` --lab ${labName}` : '';
  return `
Seven pods on two nodes, ${edges} edges. In another terminal, try:
  npx ambientctl lab exec${which} -n shop deploy/web -- ${ask}
  npx ambientctl why${which} -n shop deploy/web svc/payments.shop
  npx ambientctl lab fault kill${which} node/node-2   # SIGKILL: nothing leaks, and it is back in a second
  npx ambientctl dashboard${which}                       # the live page again, in a browser
Ctrl-C ends it and leaves nothing behind.

`;
}

// What the kernel and the proxies say about streams that do not end, to be printed before the lab is gone.
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import type { LabTarget } from '../../src/lab/control-types.ts';
import { enterCommand } from '../../src/lab/enter.ts';
import { node1, node2, type TestLab } from '../lab/harness.ts';
import { loadPort } from './scene.ts';

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program in a pod or node of a lab to its end. */
export async function runIn(target: LabTarget, argv: readonly string[]): Promise<Outcome> {
  const { command, args } = enterCommand(target, argv);
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...target.env } });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, stdout, stderr };
}

const linesMax = 40;

/** Sockets of the pods and nodes on the port of the load, and open connections as the proxies have them; lines. */
export async function evidence(lab: TestLab): Promise<string[]> {
  const lines: string[] = [];
  const filter = `( sport = :${loadPort} or dport = :${loadPort} or sport = :80 or dport = :80 )`;
  const places = [
    ...['alpha', 'beta', 'gamma'].map((name) => ['pod', 'app', name] as const),
    ...[node1, node2].map((name) => ['node', '', name] as const),
  ];
  for (const [kind, ns, name] of places) {
    const { stdout, stderr } = await runIn(await lab.client.target(kind, ns, name), ['ss', '-Htnoi', filter]);
    const sockets = stdout.replaceAll('\n\t', '  ').trim().split('\n');
    lines.push(`sockets of ${name}: ${sockets.length}${stderr}`, ...sockets.slice(0, linesMax));
  }
  for (const node of [node1, node2]) {
    const { connections } = await lab.dump(node);
    lines.push(`connections of ${node}: ${connections.length}`);
    lines.push(...connections.slice(0, linesMax).map((each) => JSON.stringify(each)));
  }
  return lines;
}

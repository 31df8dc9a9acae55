// A receiver of OTLP inside a node of a lab, where a collector on the host network would be. Run as a program it is the
// receiver itself: `GET /spans` tells what has come.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { enterCommand, signalEntered } from '../../src/lab/enter.ts';
import { TestReceiver } from '../../src/telemetry/traces/testing-receiver.ts';
import type { TestLab } from './harness.ts';

const startMaxMs = 20_000;

/** Starts one at `url`, an address of the node; it ends with the lab, or before. */
export async function startReceiver(lab: TestLab, node: string, url: string): Promise<{ close(): Promise<void> }> {
  const target = await lab.client.target('node', '', node);
  const { command, args } = enterCommand(target, [process.execPath, fileURLToPath(import.meta.url), url]);
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], env: { ...target.env } });
  const exited = once(child, 'exit');
  await once(child.stdout, 'data', { signal: AbortSignal.timeout(startMaxMs) });
  return {
    close: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      signalEntered(child, 'SIGKILL');
      await exited;
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { hostname, port } = new URL(process.argv[2]!);
  const receiver = new TestReceiver();
  process.stdout.write(`${await receiver.listen(Number(port), hostname)}\n`);
}

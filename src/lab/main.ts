// The lab's first process: `node main.ts NAME OPTIONS`, started by `launch.ts` in namespaces of its own.
//
// It says how its start goes as JSON lines on standard output. When it ends, however it does, the kernel ends the rest
// of the lab.
import { appendFileSync } from 'node:fs';
import { isMeshError, messageOf } from '../base/errors.ts';
import { readDocuments } from './control-client.ts';
import { ControlServer } from './control-server.ts';
import type { LabProgress } from './control-types.ts';
import { isUnmanaged } from './kubelet.ts';
import { Lab } from './lab.ts';
import type { LabOptions } from './launch.ts';
import { LabOperations } from './operations.ts';
import { labLog, makePrivateFiles } from './private-files.ts';
import { systemPath } from './tools.ts';

const say = (progress: LabProgress) => process.stdout.write(`${JSON.stringify(progress)}\n`);

/** True from the lab's last word about its start. */
let isUp = false;

function log(line: string): void {
  const stamped = `${new Date().toISOString()} ${line}\n`;
  try {
    appendFileSync(labLog, stamped);
  } catch {
    // Before the lab has a file system of its own.
  }
  process.stderr.write(stamped);
}

async function main(): Promise<void> {
  const [name = '', json = '{}'] = process.argv.slice(2);
  const options = JSON.parse(json) as LabOptions;
  process.env.PATH = systemPath();
  // Who started the lab may go at any time, and its ends of these pipes with it.
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});
  const end = () => process.exit(0);
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  process.on('SIGHUP', () => {});
  process.stdin.on('error', () => {});
  // Whoever starts a lab holds this pipe: until the lab is up, and in the foreground for as long as it is wanted.
  process.stdin.on('close', () => {
    if (options.foreground || !isUp) end();
  });
  process.stdin.resume();
  const documents = readDocuments(options.paths); // Before the lab's own /run hides what may lie on the host's.
  await makePrivateFiles();
  const complain = (message: string) => {
    log(message);
    say({ type: 'warning', message });
  };
  const lab = new Lab({ name, options, log: complain });
  const operations = new LabOperations({ lab, end });
  await lab.start(documents);
  const server = new ControlServer(operations);
  await server.start();
  say({ type: 'step', message: `${lab.nodes.length} nodes are up; pods are starting` });
  await operations.waitInStep(options.timeoutMs);
  const podCount = lab.pods().filter((pod) => !isUnmanaged(pod)).length;
  isUp = true;
  say({ type: 'ready', message: `lab ${name}: ${podCount} pods on ${lab.nodes.length} nodes are ready` });
}

process.on('uncaughtException', (error) => {
  log(`unexpected failure: ${error.stack ?? messageOf(error)}`);
});
process.on('unhandledRejection', (error) => {
  log(`unexpected failure: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
});

main().catch((error: unknown) => {
  const isInput = isMeshError(error) && (error.code === 'CONFIG_INVALID' || error.code === 'INPUT_UNREADABLE');
  const isLate = isMeshError(error) && error.code === 'TIMED_OUT';
  const code = isInput ? 'CONFIG_INVALID' : isLate ? 'TIMED_OUT' : 'INTERNAL';
  const detail = isMeshError(error)
    ? error.message
    : error instanceof Error
      ? (error.stack ?? error.message)
      : String(error);
  isUp = isLate;
  say({ type: 'failed', code, message: detail });
  log(detail);
  // A lab that is up but not ready stays, so that it can be looked at; who started it decides.
  if (!isLate) process.exit(1);
});

// The program `ambient-waypoint`: reads its command line, runs until it is told to end.
import { flushCompileCache } from 'node:module';
import { parseArgs } from 'node:util';
import { compactHeap } from '../base/compact-heap.ts';
import { MeshError, messageOf } from '../base/errors.ts';
import { digestOf } from '../base/file-digest.ts';
import { version } from '../base/version.ts';

const usage = `usage: ambient-waypoint --config FILE
       ambient-waypoint --version

Carries the traffic of the services that name its Gateway until SIGTERM; a second signal ends it at once.
`;
/** Node writes its compile cache at exit only, and a proxy that is killed has none. */
const afterStartMs = 1_000;
/** By then the start is over on a slow machine too. */
const compactAfterMs = 4_000;
const exitCodes = { failure: 1, usage: 2 } as const;

/**
 * Runs the program with the arguments after its name; returns the exit code: 0 fine, 1 failure, 2 usage or
 * configuration.
 */
export async function runWaypointProgram(args: readonly string[]): Promise<number> {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { config: { type: 'string' }, help: { type: 'boolean', short: 'h' }, version: { type: 'boolean' } },
    });
    if (values.help || values.version) {
      process.stdout.write(values.version ? `${version}\n` : usage);
      return 0;
    }
    if (values.config === undefined) return misused('--config FILE is missing');
    return await run(values.config);
  } catch (error) {
    if (error instanceof TypeError && 'code' in error) return misused(messageOf(error)); // parseArgs
    const failure = MeshError.from(error);
    process.stderr.write(`ambient-waypoint: ${failure.message}\n`);
    return failure.code === 'CONFIG_INVALID' || failure.code === 'INPUT_UNREADABLE'
      ? exitCodes.usage
      : exitCodes.failure;
  }
}

async function run(configFile: string): Promise<number> {
  const { readWaypointConfig } = await import('../config/waypoint.ts');
  const digest = digestOf(configFile);
  const config = readWaypointConfig(configFile);
  const { startWaypoint } = await import('./start-waypoint.ts');
  const waypoint = await startWaypoint(config, { configFile, digest });
  setTimeout(flushCompileCache, afterStartMs).unref();
  setTimeout(compactHeap, compactAfterMs).unref(); // what the start needed and the proxy does not
  const end = (): void => {
    process.once('SIGTERM', exitNow).once('SIGINT', exitNow);
    void waypoint.drain();
  };
  process.once('SIGTERM', end).once('SIGINT', end);
  await waypoint.ended;
  return 0;
}

function exitNow(): never {
  process.exit(exitCodes.failure);
}

function misused(reason: string): number {
  process.stderr.write(`ambient-waypoint: ${reason}\n${usage}`);
  return exitCodes.usage;
}

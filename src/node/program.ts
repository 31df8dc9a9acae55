// The program `ambient-node`: reads its command line, becomes the launcher when it has no sockets yet, runs until it
// is told to end.
import { flushCompileCache } from 'node:module';
import { parseArgs } from 'node:util';
import { compactHeap } from '../base/compact-heap.ts';
import { MeshError, messageOf } from '../base/errors.ts';
import { digestOf } from '../base/file-digest.ts';
import { parseCidr } from '../base/ip.ts';
import { version } from '../base/version.ts';
import { becomeLauncher, type ReadConfig, takeConfig } from './launch.ts';
import { listenersVariable, takeListeners, takeThreads } from './listeners.ts';

const usage = `usage: ambient-node [run] --config FILE
       ambient-node uninstall [--config FILE] [--state DIR] [--namespaces FOLDER]
       ambient-node check [--config FILE] [-o json]
       ambient-node --version

run        captures and carries the traffic of this node's pods until SIGTERM; a second signal ends it at once.
           The capture rules stay, so that nothing leaks while no proxy runs.
check      says what of this node stands in the way of the mesh, and what to set; changes nothing. Ends with 1 when
           pods would not be captured as they should be
uninstall  restores this node: removes the capture rules and routes, those inside of pods too where FILE says that
           capture.backend is pod or FOLDER has the network namespaces of pods, gives back the settings of the
           kernel that were changed, and deletes the proxy's state, which is in DIR or where FILE says
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
export async function runNodeProgram(args: readonly string[]): Promise<number> {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        config: { type: 'string' },
        namespaces: { type: 'string' },
        state: { type: 'string' },
        output: { type: 'string', short: 'o' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean' },
      },
    });
    if (values.help || values.version) {
      process.stdout.write(values.version ? `${version}\n` : usage);
      return 0;
    }
    const [command = 'run', ...rest] = positionals;
    if (rest.length > 0 || !['run', 'uninstall', 'check'].includes(command))
      return misused(`unknown command '${positionals.join(' ')}'`);
    if (command === 'uninstall') return await uninstall(values);
    if (command === 'check') return await check(values.config, values.output === 'json');
    if (values.config === undefined) return misused('--config FILE is missing');
    return await run(values.config);
  } catch (error) {
    if (error instanceof TypeError && 'code' in error) return misused(messageOf(error)); // parseArgs
    const failure = MeshError.from(error);
    process.stderr.write(`ambient-node: ${failure.message}\n`);
    return failure.code === 'CONFIG_INVALID' || failure.code === 'INPUT_UNREADABLE'
      ? exitCodes.usage
      : exitCodes.failure;
  }
}

async function run(configFile: string): Promise<number> {
  if (process.env[listenersVariable] === undefined) {
    becomeLauncher(await readConfig(configFile), [process.execPath, ...process.execArgv, ...process.argv.slice(1)]);
  }
  // The process that became the launcher has read and checked it; a reader of YAML is large, and needed once.
  const { config, digest } = takeConfig(process.env) ?? (await readConfig(configFile));
  // Loaded only now: the process that becomes the launcher has no use for it, and a restart should be quick.
  const { startNode } = await import('./start-node.ts');
  const listeners = config.capture.backend === 'pod' ? takeThreads(process.env) : takeListeners(process.env);
  const node = await startNode(config, { listeners, configFile, digest });
  setTimeout(flushCompileCache, afterStartMs).unref();
  setTimeout(compactHeap, compactAfterMs).unref(); // what the start needed and the proxy does not
  const end = (): void => {
    process.once('SIGTERM', exitNow).once('SIGINT', exitNow);
    void node.drain();
  };
  process.once('SIGTERM', end).once('SIGINT', end);
  await node.ended;
  return 0;
}

function exitNow(): never {
  process.exit(exitCodes.failure);
}

async function readConfig(file: string): Promise<ReadConfig> {
  const { readNodeConfig } = await import('../config/node.ts');
  const digest = digestOf(file);
  return { config: readNodeConfig(file), digest };
}

async function check(configFile: string | undefined, isJson: boolean): Promise<number> {
  const { checkNode } = await import('../capture/node-check.ts');
  const { readNodeFacts } = await import('../capture/read-node-facts.ts');
  const config = configFile === undefined ? null : (await readConfig(configFile)).config;
  const findings = checkNode(await readNodeFacts(config?.capture.backend ?? 'host'));
  const lines = findings.map(
    ({ id, severity, text, fix, hint }) => `${severity} ${id}: ${text}\n  ${fix}; see ${hint}\n`,
  );
  const said = lines.length === 0 ? 'nothing of this node stands in the way\n' : lines.join('');
  process.stdout.write(isJson ? `${JSON.stringify(findings, null, 2)}\n` : said);
  return findings.some(({ severity }) => severity === 'error') ? exitCodes.failure : 0;
}

/** Where things are that `uninstall` takes away. */
interface Places {
  readonly config?: string | undefined;
  readonly state?: string | undefined;
  readonly namespaces?: string | undefined;
}

async function uninstall({ config: configFile, state: stateDir, namespaces }: Places): Promise<number> {
  const config = configFile === undefined ? null : (await readConfig(configFile)).config;
  const { HostCapture } = await import('../capture/host-backend.ts');
  const { removeFromPods } = await import('../capture/pod-backend.ts');
  await new HostCapture(Date.now()).remove();
  const folder = namespaces ?? (config?.capture.backend === 'pod' ? config.capture.namespaces : null);
  if (folder !== null) {
    const podCidrs = (config?.podCidrs ?? []).flatMap((cidr) => parseCidr(cidr) ?? []);
    await removeFromPods(folder, podCidrs);
  }
  const { removeState } = await import('../proxy/state-files.ts');
  for (const folder of new Set([config?.stateDir ?? '', stateDir ?? ''])) if (folder !== '') removeState(folder);
  process.stderr.write('ambient-node: this node is as it was\n');
  return 0;
}

function misused(reason: string): number {
  process.stderr.write(`ambient-node: ${reason}\n${usage}`);
  return exitCodes.usage;
}

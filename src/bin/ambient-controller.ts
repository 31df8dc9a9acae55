// The program `ambient-controller`.
import { parseArgs } from 'node:util';
import { isMeshError, messageOf } from '../base/errors.ts';
import { version as ownVersion } from '../base/version.ts';
import { readControllerConfig } from '../config/controller.ts';
import { type RunningController, startController } from '../controller/controller.ts';

const usage = 'usage: ambient-controller --config FILE\n       ambient-controller --version\n';
const exitCodes = { failed: 1, input: 2 } as const;

function fail(error: unknown, code: number): never {
  process.stderr.write(`ambient-controller: ${messageOf(error)}\n`);
  process.exit(code);
}

function argumentsOf(args: readonly string[]): { config?: string; help?: boolean; version?: boolean } {
  const options = {
    config: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
    version: { type: 'boolean' },
  } as const;
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    return fail(error, exitCodes.input);
  }
}

const { config: file, help, version } = argumentsOf(process.argv.slice(2));
if (help || version || file === undefined) {
  const isAsked = help === true || version === true;
  (isAsked ? process.stdout : process.stderr).write(version ? `${ownVersion}\n` : usage);
  process.exit(isAsked ? 0 : exitCodes.input);
}
let controller: RunningController | null = null;
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  // Before there is anything to drain, the end is at once.
  process.on(signal, () => void (controller?.close() ?? process.exit(0)));
}
try {
  controller = await startController(readControllerConfig(file));
} catch (error) {
  const isInput = isMeshError(error) && (error.code === 'CONFIG_INVALID' || error.code === 'INPUT_UNREADABLE');
  fail(error, isInput ? exitCodes.input : exitCodes.failed);
}

// The program behind the image `ambient/load`: a customer that never stops. See `load.ts`.
import { MeshError } from '../../base/errors.ts';
import { LoadRun, loadOptions } from './load.ts';

try {
  const options = loadOptions(process.argv.slice(2), process.env);
  const run = new LoadRun(options);
  const say = (line: string): boolean => process.stdout.write(`${line}\n`);
  say(`load: ${options.ratePerS}/s over ${options.connections} connections to ${options.targets.join(', ')}`);
  run.start();
  const summary = setInterval(() => say(run.summary()), 10_000);
  const stop = (): void => {
    clearInterval(summary);
    run.close();
    say(run.total());
    process.exit(0);
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  if (options.durationMs > 0) setTimeout(stop, options.durationMs);
} catch (error) {
  process.stderr.write(`load: ${MeshError.from(error).message}\n`);
  process.exit(2);
}

// The program `client` of an echo's image. See `client.ts`.
import { MeshError } from '../../base/errors.ts';
import { runEchoClient } from './client.ts';
import { echoClientOptions } from './client-options.ts';

try {
  const { stdout, exitCode } = await runEchoClient(echoClientOptions(process.argv.slice(2)));
  process.stdout.write(stdout);
  process.exitCode = exitCode;
} catch (error) {
  process.stderr.write(`client: ${MeshError.from(error).message}\n`);
  process.exitCode = 2;
}

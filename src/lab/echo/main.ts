// The program behind the image `ambient/echo`: an application that knows nothing of a mesh and answers with what it
// saw.
import { MeshError } from '../../base/errors.ts';
import { echoOptions } from './options.ts';
import { startEcho } from './server.ts';

const say = (line: string): boolean => process.stdout.write(`${line}\n`);
try {
  const options = echoOptions(process.env, process.argv.slice(2));
  const echo = await startEcho(options, say);
  const ports = options.ports.map((port, index) => `${echo.ports[index]} (${port.mode})`);
  say(`echo: ${options.identity.namespace || '-'}/${options.identity.pod} serves ${ports.join(', ')}`);
  const stop = (): void => {
    setTimeout(() => void echo.close().then(() => process.exit(0)), options.stopAfterMs);
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
} catch (error) {
  process.stderr.write(`echo: ${MeshError.from(error).message}\n`);
  process.exit(2);
}

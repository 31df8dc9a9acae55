// The program `ambientctl`. Compiled code is kept beside the dependencies where that folder can be written, since most
// of a short command's time is compiling.
import { enableCompileCache } from 'node:module';
import { projectFile } from '../base/project-files.ts';

enableCompileCache(projectFile('node_modules/.cache/ambientctl'));
const { processIo } = await import('../cli/io.ts');
const { runCli } = await import('../cli/main.ts');
const exitCode = await runCli(process.argv.slice(2), processIo());
// What was said gets out; what nobody waits for any more, such as a proxy that hangs, holds nothing up.
for (const stream of [process.stdout, process.stderr]) {
  await new Promise((resolve) => stream.write('', resolve));
}
process.exit(exitCode);

// The program `ambientctl`. Compiled code is kept beside the dependencies where that folder can be written, since most
// of a short command's time is compiling.
import { enableCompileCache } from 'node:module';
import { projectFile } from '../base/project-files.ts';

enableCompileCache(projectFile('node_modules/.cache/ambientctl'));
const { processIo } = await import('../cli/io.ts');
const { runCli } = await import('../cli/main.ts');
process.exitCode = await runCli(process.argv.slice(2), processIo());

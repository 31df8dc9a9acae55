// The node proxy: see `src/node/program.ts`.
import { runNodeProgram } from '../node/program.ts';

process.exit(await runNodeProgram(process.argv.slice(2)));

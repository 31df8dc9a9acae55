// The program behind `npm run demo`.
import { runDemo } from './demo-run.ts';
import { processIo } from './io.ts';

process.exitCode = await runDemo(process.argv.slice(2), processIo());

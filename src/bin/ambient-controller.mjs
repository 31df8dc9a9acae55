#!/usr/bin/env node
// Starts ambient-controller on a Node that is new enough; the program itself is ambient-controller.ts.
import { runWithRuntime } from '../../native-free/runtime.mjs';

await runWithRuntime('src/bin/ambient-controller.ts', process.argv.slice(2));

#!/usr/bin/env node
// Starts ambient-node on a Node that is new enough; the program itself is ambient-node.ts.
import { runWithRuntime } from '../../native-free/runtime.mjs';

await runWithRuntime('src/bin/ambient-node.ts', process.argv.slice(2));

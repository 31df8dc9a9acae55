#!/usr/bin/env node
// Starts ambient-waypoint on a Node that is new enough; the program itself is ambient-waypoint.ts.
import { runWithRuntime } from '../../native-free/runtime.mjs';

await runWithRuntime('src/bin/ambient-waypoint.ts', process.argv.slice(2));

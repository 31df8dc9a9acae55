#!/usr/bin/env node
// Starts ambientctl on a Node that is new enough; the program itself is ambientctl.ts.
import { runWithRuntime } from '../../native-free/runtime.mjs';

await runWithRuntime('src/bin/ambientctl.ts', process.argv.slice(2));

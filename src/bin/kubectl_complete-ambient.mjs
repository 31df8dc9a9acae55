#!/usr/bin/env node
// What kubectl asks to complete `kubectl ambient …`: candidates, one per line, and a directive at the end.
import { runWithRuntime } from '../../native-free/runtime.mjs';

process.env.AMBIENT_CALLED_AS = 'kubectl ambient';
process.env.AMBIENT_RUNTIME_SAID = '1';
await runWithRuntime('src/bin/ambientctl.ts', ['__complete', '--kubectl', '--', ...process.argv.slice(2)]);

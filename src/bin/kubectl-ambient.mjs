#!/usr/bin/env node
// `kubectl ambient`: ambientctl under the name by which kubectl finds its plugins, with the words of one.
import { runWithRuntime } from '../../native-free/runtime.mjs';

process.env.AMBIENT_CALLED_AS = 'kubectl ambient';
await runWithRuntime('src/bin/ambientctl.ts', process.argv.slice(2));

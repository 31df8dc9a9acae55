// Capture against a real kernel: nftables, transparent sockets, network namespaces of our own. Needs root or user
// namespaces.
import { runScenario } from './run-scenario.ts';

runScenario('capture in the host namespace', 'capture-scenario.ts');

// The waypoint's entry. L7 is not in this release: it says so instead of failing for a missing module.
import { MeshError } from '../base/errors.ts';

const reason = 'waypoints are not in this release: a namespace has L4 policy and encryption, see README.md';
process.stderr.write(`ambient-waypoint: ${new MeshError('USAGE', { reason }).message}\n`);
process.exitCode = 2;

// The waypoint: see `src/waypoint/program.ts`.
import { runWaypointProgram } from '../waypoint/program.ts';

process.exit(await runWaypointProgram(process.argv.slice(2)));

// The system programs that a lab is made of.
import { ensureTools, searchPath } from '../../native-free/tools.ts';

const programs = ['unshare', 'nsenter', 'mount', 'hostname', 'ip', 'nft', 'perl'] as const;

/** PATH with the folders of system programs behind it, which an ordinary user's may lack. */
export function systemPath(): string {
  return searchPath(process.env.PATH ?? '');
}

/** Sees to it that every program is there, as `ensureTools` does; throws `TOOL_MISSING` with the very line to type. */
export function requireTools(): void {
  ensureTools(programs);
}

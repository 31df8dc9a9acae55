// Node's compile cache, filled before the first start: a thread that loads a TypeScript source which is not in it loads
// Node's TypeScript stripper too, and keeps its 25 MB for as long as it lives.
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { isBundled, modulePath } from '../base/project-files.ts';
import { version } from '../base/version.ts';

const everything = pathToFileURL(modulePath('src/node/load-everything.ts')).href;
const timeoutMs = 20_000;

/**
 * Fills the cache in `folder` unless that has been done for this version of Node and of Ambient. `program` is the
 * script that is going to run. Best effort: without a cache the proxy is larger and slower to start, no more.
 */
export function warmCompileCache(folder: string, program: string): void {
  if (isBundled) return; // a bundle has nothing to strip
  const marker = path.join(folder, `warm-${process.version}-${version}`);
  if (existsSync(marker)) return;
  const env = { ...process.env, NODE_COMPILE_CACHE: folder };
  // V8's flags must be those of the run: compiled code is of use under the same flags alone.
  const args = [...process.execArgv, '--import', everything, program, '--help'];
  const { status } = spawnSync(process.execPath, args, { env, stdio: 'ignore', timeout: timeoutMs });
  if (status !== 0) return;
  try {
    writeFileSync(marker, '');
  } catch {
    // A folder that cannot be written to holds no cache either.
  }
}

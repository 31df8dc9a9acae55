// Foreign programs that the conformance tests talk to. What is not there is fetched into `.cache`; what cannot be had
// fails the test, it never skips it.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { MeshError } from '../../../src/base/errors.ts';

export const cacheDir: string = path.join(import.meta.dirname, '../../..', '.cache');

const h2specModule = 'github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible';
/** A cold build of helm's engine takes some 45 s of CPU, and shares it. */
const buildMs = 420_000;

/**
 * Runs what blocks this thread for long, when it has been told that the test under way has begun: a file without one is
 * taken for stuck.
 */
export async function whenTold<Value>(make: () => Value): Promise<Value> {
  for (let turn = 0; turn < tellTurns; turn++) await nextTurn();
  return make();
}

const tellTurns = 20;

/** Path of h2spec, built with Go at the first call. */
export const h2spec = (): string => goInstalled('h2spec', h2specModule);

/** Path of a program that `go install` makes of a module. */
export function goInstalled(name: string, module: string): string {
  const bin = path.join(cacheDir, 'bin');
  const program = path.join(bin, name);
  if (existsSync(program)) return program;
  mkdirSync(bin, { recursive: true });
  run('go', ['install', module], { GOBIN: bin });
  return program;
}

/** Path of the program that is in a folder of Go sources, built when these have changed. */
export function goProgram(folder: string, name: string): string {
  const hash = createHash('sha256');
  for (const file of ['main.go', 'go.mod', 'go.sum']) hash.update(readFileSync(path.join(folder, file)));
  const program = path.join(cacheDir, 'bin', `${name}-${hash.digest('hex').slice(0, 12)}`);
  if (existsSync(program)) return program;
  mkdirSync(path.dirname(program), { recursive: true });
  run('go', ['build', '-C', folder, '-o', `${program}.${process.pid}`, '.'], {});
  renameSync(`${program}.${process.pid}`, program);
  return program;
}

/** Path of `program`, installed with apt-get where that can be done. */
export function aptProgram(program: string, packageName: string): string {
  const found = spawnSync('which', [program], { encoding: 'utf8' }).stdout.trim();
  if (found !== '') return found;
  run('apt-get', ['-qq', '-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=120', 'install', packageName], {
    DEBIAN_FRONTEND: 'noninteractive',
  });
  return program;
}

function run(program: string, args: readonly string[], env: Readonly<Record<string, string>>): void {
  const result = spawnSync(program, args, { encoding: 'utf8', timeout: buildMs, env: { ...process.env, ...env } });
  if (result.status === 0) return;
  const reason = (result.error?.message ?? result.stderr).trim().split('\n').slice(-3).join(' · ');
  throw new MeshError('NOT_REACHABLE', { what: `${program} ${args.join(' ')}`, reason, hint: 'run it by hand' });
}

export interface Finished {
  readonly code: number | null;
  readonly output: string;
}

/** Runs a program to its end, at most `timeoutMs`, and returns what it printed on both of its outputs. */
export async function finished(program: string, args: readonly string[], timeoutMs: number): Promise<Finished> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: timeoutMs, killSignal: 'SIGKILL' });
  let output = '';
  const collect = (chunk: Buffer): void => {
    output += chunk.toString();
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

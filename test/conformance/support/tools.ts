// Foreign programs that the conformance tests talk to. What is not there is fetched into `.cache`; what cannot be had
// fails the test, it never skips it.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { MeshError } from '../../../src/base/errors.ts';

export const cacheDir: string = path.join(import.meta.dirname, '../../..', '.cache');

const h2specModule = 'github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible';
const buildMs = 240_000;

/** Path of h2spec, built with Go at the first call. */
export function h2spec(): string {
  const bin = path.join(cacheDir, 'bin');
  const program = path.join(bin, 'h2spec');
  if (existsSync(program)) return program;
  mkdirSync(bin, { recursive: true });
  run('go', ['install', h2specModule], { GOBIN: bin });
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

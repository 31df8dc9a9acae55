// Runs a program inside a pod or a node of a running lab, from outside: `nsenter`, with signals and the exit code
// passed through.
import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { MeshError } from '../base/errors.ts';
import type { RanProgram } from '../kube/api/exec.ts';
import type { LabTarget } from './control-types.ts';
import { resolveInside } from './images.ts';
import { processIds } from './running.ts';

/** The command line that runs `argv` in `target`: to be spawned with `target.env`. */
export function enterCommand(target: LabTarget, argv: readonly string[]): { command: string; args: string[] } {
  const program = resolveInside(target.image, argv);
  // The working directory is entered after the namespaces are, since it is a path inside them.
  const inside = ['sh', '-c', 'cd -- "$1" && shift && exec "$@"', 'lab', target.cwd, ...program];
  return { command: 'nsenter', args: ['-t', String(target.hostPid), ...target.nsenterArgs, '--', ...inside] };
}

/**
 * In there a shell cannot see the process group out here, and would not get the terminal back from what it runs: so the
 * program gets a group of its own, and the terminal. Afterwards the terminal is taken back.
 */
const perlTerminal = ['-MPOSIX=tcsetpgrp', '-e'] as const;
const takeTerminal = '$SIG{TTOU} = "IGNORE"; setpgrp(0, 0); tcsetpgrp(0, $$); $SIG{TTOU} = "DEFAULT"; exec @ARGV';
const backTerminal = '$SIG{TTOU} = "IGNORE"; tcsetpgrp(0, getpgrp)';

const passedOn = [
  'SIGINT',
  'SIGTERM',
  'SIGHUP',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGWINCH',
  'SIGCONT',
  'SIGTSTP',
] as const;

/** Sends `signal` to the program that `enterCommand` runs: `nsenter` waits outside of it and would die in its stead. */
export function signalEntered(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  const inner = firstChildOf(child.pid);
  try {
    process.kill(inner ?? child.pid, signal);
  } catch {
    // It ended in the meantime, which is what the caller sees next.
  }
}

/**
 * Runs `argv` in `target` with this process's own stdin, stdout and stderr. Resolves with the exit code, 128 + N for
 * signal N,
 * as a shell would; signals that this process gets go to the program.
 */
export function runEntered(target: LabTarget, argv: readonly string[], options: SpawnOptions = {}): Promise<number> {
  const onTerminal = process.stdin.isTTY === true && options.stdio === undefined;
  const whole = onTerminal ? ['perl', ...perlTerminal, takeTerminal, ...argv] : argv;
  const { command, args } = enterCommand(target, whole);
  const child = spawn(command, args, { stdio: 'inherit', ...options, env: { ...target.env, ...options.env } });
  const handlers = passedOn.map((signal) => {
    const handler = () => {
      // A terminal has already sent these to every process of its foreground group.
      const fromTerminal = process.stdin.isTTY && (signal === 'SIGINT' || signal === 'SIGQUIT' || signal === 'SIGTSTP');
      if (!fromTerminal) signalEntered(child, signal);
    };
    process.on(signal, handler);
    return { signal, handler };
  });
  return new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(code ?? 128 + (constants.signals[signal as NodeJS.Signals] ?? 1)));
  }).finally(() => {
    for (const { signal, handler } of handlers) process.off(signal, handler);
    if (onTerminal) spawnSync('perl', [...perlTerminal, backTerminal], { stdio: 'inherit' });
  });
}

/** Runs `argv` in `target` without standard input and takes what it writes. Rejects with TIMED_OUT, NOT_REACHABLE. */
export function captureEntered(target: LabTarget, argv: readonly string[], timeoutMs: number): Promise<RanProgram> {
  const { command, args } = enterCommand(target, argv);
  const child = spawn(command, args, { env: target.env, stdio: ['ignore', 'pipe', 'pipe'] });
  return new Promise((resolve, reject) => {
    const texts = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]?.setEncoding('utf8').on('data', (text: string) => {
        texts[name] += text;
      });
    }
    const timer = setTimeout(() => {
      signalEntered(child, 'SIGKILL');
      reject(new MeshError('TIMED_OUT', { what: argv.join(' '), timeoutMs, hint: 'is it stuck?' }));
    }, timeoutMs);
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(new MeshError('NOT_REACHABLE', { what: argv[0] ?? '', reason: error.message, hint: 'is it there?' }));
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ ...texts, code: code ?? 1 });
    });
  });
}

/** The first child of `pid`, or null: by the kernel's own list where it has one, by a scan where not. */
export function firstChildOf(pid: number): number | null {
  try {
    const [first] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    return first === undefined || first === '' ? null : Number(first);
  } catch {
    for (const entry of readdirSync('/proc')) {
      if (/^\d+$/.test(entry) && processIds(entry)?.parent === pid) return Number(entry);
    }
    return null;
  }
}

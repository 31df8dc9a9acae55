// Runs a system tool (`nft`, `ip`, `nsenter`) off the data path: bounded in time and output, errors in words that say
// what to type.
import { spawn } from 'node:child_process';
import { MeshError, messageOf } from '../base/errors.ts';

const timeoutMs = 10_000;
const outputMaxBytes = 16 * 1024 * 1024;
const packages = { nft: 'nftables', ip: 'iproute2', nsenter: 'util-linux' } as const;

export type Tool = keyof typeof packages;

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a tool and returns what it said, whatever its exit code. `CommandRunner` is the seam that tests replace. */
export type CommandRunner = (tool: Tool, args: readonly string[], input?: string) => Promise<CommandResult>;

/** What system tools are run with: they live in sbin, which is not on everybody's path. */
export function commandEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin:/usr/bin:/bin`, LC_ALL: 'C' };
}

/** Runs the tool of the machine. Throws `TOOL_MISSING` when there is none, `TIMED_OUT` when it does not end in 10 s. */
export const runCommand: CommandRunner = (tool, args, input = '') =>
  new Promise((resolve, reject) => {
    const child = spawn(tool, args, { stdio: ['pipe', 'pipe', 'pipe'], env: commandEnvironment() });
    const output = { stdout: '', stderr: '' };
    const deadline = setTimeout(() => {
      child.kill('SIGKILL');
      const hint = 'the machine may be overloaded, or another program may hold the tool';
      reject(new MeshError('TIMED_OUT', { what: `${tool} ${args.join(' ')}`, timeoutMs, hint }));
    }, timeoutMs);
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8');
      child[name].on('error', () => {});
      child[name].on('data', (chunk: string) => {
        if (output[name].length < outputMaxBytes) output[name] += chunk;
      });
    }
    child.stdin.on('error', () => {}); // it ended without reading: its exit code says why
    child.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(deadline);
      reject(error.code === 'ENOENT' ? missing(tool) : failed(tool, messageOf(error)));
    });
    child.on('close', (code) => {
      clearTimeout(deadline);
      resolve({ exitCode: code ?? 1, ...output });
    });
    child.stdin.end(input);
  });

/** The error of a tool that ended with a code other than 0, with a hint for the usual causes. */
export function failed(tool: Tool, stderr: string): MeshError {
  const reason = `${tool}: ${stderr.trim().split('\n')[0] || 'it failed without a word'}`;
  const denied = /not permitted|permission denied|must be root/i.test(stderr);
  const hint = denied
    ? 'run as root, or with CAP_NET_ADMIN in the network namespace'
    : `check that this kernel has nftables with tproxy and socket (modules nft_tproxy, nft_socket)`;
  return new MeshError('CAPTURE_FAILED', { reason, hint });
}

function missing(tool: Tool): MeshError {
  return new MeshError('TOOL_MISSING', { tool, command: `apt-get install -y ${packages[tool]}` });
}

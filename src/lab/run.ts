// Runs the system programs that build the lab (`ip`, `nft`, `mount`), each once, with its input and a time limit.
import { spawn } from 'node:child_process';
import { MeshError, messageOf } from '../base/errors.ts';

/** Where `ip netns` keeps a namespace's handle, inside the lab. */
export const netnsPath = (name: string) => `/run/netns/${name}`;

/**
 * `nsenter` words that run a command in the network namespace `name`; none for the fabric, where the lab itself lives.
 */
export function inNetns(name: string | null): string[] {
  return name === null ? [] : ['nsenter', `--net=${netnsPath(name)}`, '--'];
}

const outputMax = 64 * 1024;

/**
 * Runs `argv` with `input` on its standard input; resolves with what it printed.
 * Throws `INTERNAL` with the program's own words when it fails or takes longer than `timeoutMs`.
 */
export function run(argv: readonly string[], input = '', timeoutMs = 20_000): Promise<string> {
  const [command = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: timeoutMs, killSignal: 'SIGKILL' });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (stdout.length < outputMax) stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (stderr.length < outputMax) stderr += text;
    });
    child.stdin.on('error', () => {}); // It ended before it had read everything; its exit code says why.
    child.on('error', (error) => reject(failure(argv, messageOf(error))));
    child.on('close', (code, signal) => {
      if (code === 0) return resolve(stdout);
      reject(failure(argv, stderr.trim() || (signal !== null ? `ended by ${signal}` : `exit code ${code}`)));
    });
    child.stdin.end(input);
  });
}

function failure(argv: readonly string[], reason: string): MeshError {
  return new MeshError('INTERNAL', { reason: `'${argv.join(' ')}' failed: ${reason.slice(0, 1000)}` });
}

/** Runs `ip -batch` with these lines in the network namespace `name` (null: the fabric). */
export async function ipBatch(name: string | null, lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  const where = name === null ? [] : ['-n', name];
  try {
    await run(['ip', ...where, '-batch', '-'], `${lines.join('\n')}\n`);
  } catch (error) {
    // `ip` names the number of the line only.
    const number = Number(/Command failed -:(\d+)/.exec(messageOf(error))?.[1] ?? 0);
    const line = lines[number - 1];
    if (line === undefined) throw error;
    throw new MeshError('INTERNAL', { reason: `'ip ${line}': ${messageOf(error)}` }, { cause: error });
  }
}

/** A word for `sh`, whatever it holds. */
export function shellQuote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

// For tests: a whole command line in this process, with everything that it writes.
import { Readable } from 'node:stream';
import type { CliIo } from './io.ts';
import { runCli } from './main.ts';

/** What `ambientctl ARGS` would exit with and print, on no terminal; it reads nothing. */
export async function runInProcess(
  args: readonly string[],
  env: CliIo['env'] = {},
): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ['', ''];
  const io: CliIo = {
    stdin: Readable.from([]),
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    env,
    isTerminal: false,
    columns: 100,
    stdoutColour: false,
    stderrColour: false,
    interruption: () => new AbortController().signal,
  };
  const code = await runCli([...args], io);
  return { code, out, err };
}

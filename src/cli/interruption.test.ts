// Ctrl-C and closed pipes: how commands end whatever they are doing just then, and what they leave on the terminal.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { untilAborted } from '../base/line-streams.ts';
import type { CommandContext, CommandResult } from './command.ts';
import type { CliIo } from './io.ts';
import { watch } from './redraw.ts';

const program = path.join(import.meta.dirname, '../bin/ambientctl.ts');
const folder = mkdtempSync(path.join(tmpdir(), 'ambient-interruption-'));
/** Takes connections, and never says a word. */
let silent: Server;
let kubeconfig = '';

before(async () => {
  silent = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  kubeconfig = path.join(folder, 'config');
  const cluster = { server: `http://127.0.0.1:${(silent.address() as AddressInfo).port}` };
  const config = {
    'current-context': 'c',
    clusters: [{ name: 'c', cluster }],
    users: [{ name: 'u', user: { token: 'x' } }],
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
  };
  writeFileSync(kubeconfig, JSON.stringify(config));
});
after(() => {
  silent.close();
  rmSync(folder, { recursive: true });
});

/** `said`: what is on stderr, where nobody watches. */
const rows: readonly { readonly args: readonly string[]; readonly said: RegExp }[] = [
  { args: ['tap'], said: /^$/ },
  { args: ['edges', '-w'], said: /^$/ },
  {
    args: ['check', '--wait', '1m'],
    said: /^(- waiting for the checks\n)?interrupted while waiting for the checks\n$/,
  },
  { args: ['sysdump', '-o', path.join(folder, 'x.tar.gz')], said: /^(- .*\n)?interrupted while waiting for the .*\n$/ },
];

test('Ctrl-C ends every command at once while the API server is silent', { timeout: 120_000 }, async (context) => {
  for (const { args, said } of rows) {
    await context.test(args.slice(0, 2).join(' '), async () => {
      const asked = once(silent, 'connection');
      const child = spawn(process.execPath, [program, ...args, '--kubeconfig', kubeconfig]);
      const stderr = child.stderr.setEncoding('utf8').toArray();
      const ended = once(child, 'close');
      await asked;
      child.kill('SIGINT');
      const late = setTimeout(() => child.kill('SIGKILL'), 20_000);
      const [code, signal] = await ended;
      clearTimeout(late);
      const isEnded = code === 130 || signal === 'SIGINT';
      assert.ok(isEnded, `it ended with ${code ?? signal}`);
      assert.match((await stderr).join(''), said);
    });
  }
  assert.deepEqual(readdirSync(folder), ['config'], 'nothing half-written is left');
});

test('a pipe that is closed early ends a command quietly', async () => {
  const child = spawn(process.execPath, [program, 'analyze', '-L', '-o', 'json']);
  const stderr = child.stderr.setEncoding('utf8').toArray();
  const ended = once(child, 'close');
  child.stdout.destroy();
  assert.deepEqual(await ended, [0, null]);
  assert.deepEqual(await stderr, []);
});

function watched(next: (stop: () => void) => Promise<string>) {
  const interrupt = new AbortController();
  let out = '';
  const io = {
    stdout: { write: (text: string) => (out += text) },
    isTerminal: true,
    interruption: () => interrupt.signal,
  } as unknown as CliIo;
  const context: CommandContext = { io, args: [], options: {} };
  const result = async (): Promise<CommandResult> => {
    const text = await next(() => interrupt.abort());
    return { data: text, text: () => text };
  };
  return { done: watch(context, 1, result), shown: () => out.replaceAll(String.fromCharCode(27), '^') };
}

test('what is watched ends well by Ctrl-C although the next answer never comes, and gives the cursor back', async () => {
  let asked = 0;
  const { done, shown } = watched((stop) => {
    asked++;
    if (asked === 1) return Promise.resolve('first\n');
    stop();
    return new Promise(() => {});
  });
  await done;
  assert.match(shown(), /^\^\[\?25l.*first.*\^\[\?25h$/s);
});

test('Ctrl-C before there is anything to show is an interruption, and touches no cursor', async () => {
  const { done, shown } = watched((stop) => {
    stop();
    return new Promise(() => {});
  });
  await assert.rejects(done, { name: 'AbortError' });
  assert.equal(shown(), '');
});

test('items until a signal: a source that hangs is not waited for, one that fails is heard', async () => {
  const stop = new AbortController();
  async function* source(): AsyncGenerator<number> {
    yield 1;
    stop.abort();
    await new Promise(() => {});
  }
  const seen: number[] = [];
  for await (const item of untilAborted(source(), stop.signal)) seen.push(item);
  assert.deepEqual(seen, [1]);
  async function* failing(): AsyncGenerator<number> {
    yield 1;
    throw new RangeError('broken');
  }
  await assert.rejects(Array.fromAsync(untilAborted(failing(), new AbortController().signal)), RangeError);
});

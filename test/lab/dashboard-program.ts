// `ambientctl dashboard` as a program of its own, as a person runs it: its address, what a browser gets there, Ctrl-C.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { projectFile } from '../../src/base/project-files.ts';

const secret = 'ops:hunter2-of-the-page';

/** Settings of a controller whose page asks for a password and speaks HTTPS; `remove` takes the password away. */
export function guardedPage() {
  const folder = mkdtempSync(path.join(tmpdir(), 'ambient-page-'));
  const passwordFile = path.join(folder, 'password');
  writeFileSync(passwordFile, `${secret}\n`);
  return {
    config: { page: { tls: 'own', passwordFile } },
    remove: () => rmSync(folder, { recursive: true }),
  };
}

function started(args: readonly string[]) {
  const program = spawn(process.execPath, [projectFile('src/bin/ambientctl.ts'), 'dashboard', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return { program, words: text(program.stderr), ended: once(program, 'close') as Promise<[number | null]> };
}

/** Looks at the page of `mesh` (`--kubeconfig FILE`, `--lab NAME`), which shows `node`, and ends it as Ctrl-C does. */
export async function lookAtPage(mesh: readonly string[], node: string): Promise<void> {
  const { program, words, ended } = started([...mesh, '--port', '0', '--no-open']);
  let said = '';
  program.stdout.setEncoding('utf8').on('data', (more: string) => {
    said += more;
  });
  await Promise.race([once(program.stdout, 'data'), ended]);
  const url = said.trim();
  assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/$/, program.exitCode === null ? '' : await words);
  const page = await fetch(url);
  assert.deepEqual([page.status, page.headers.get('content-type')], [200, 'text/html; charset=utf-8']);
  assert.match(page.headers.get('content-security-policy') ?? '', /^default-src 'none'; script-src 'self'/);
  const graph = await fetch(`${url}api/graph`);
  const { nodes } = (await graph.json()) as { readonly nodes: readonly { readonly id: string }[] };
  assert.ok(
    nodes.some(({ id }) => id === node),
    JSON.stringify(nodes),
  );
  // Events go on until whoever looks has gone; the program does not wait for that.
  const events = await fetch(`${url}events`);
  const reader = events.body!.getReader();
  let told = '';
  while (!told.includes('event: heartbeat')) told += Buffer.from((await reader.read()).value!).toString();
  assert.match(told, /^retry: 1000\n/);
  program.kill('SIGINT');
  assert.deepEqual((await ended)[0], 0);
  await assert.rejects(reader.read());
  assert.equal(said, `${url}\n`);
  assert.equal((await words).includes(secret), false);
}

/** A port that somebody else has is an error that says so. */
export async function refusesTakenPort(mesh: readonly string[]): Promise<void> {
  const other = createServer();
  await once(other.listen(0, '127.0.0.1'), 'listening');
  const { port } = other.address() as AddressInfo;
  const { program, words, ended } = started([...mesh, '--port', String(port), '--no-open']);
  program.stdout.resume();
  const [code] = await ended;
  other.close();
  assert.equal(code, 3);
  assert.match(await words, new RegExp(`127\\.0\\.0\\.1:${port} cannot be reached: .*EADDRINUSE.*leave out --port`));
}

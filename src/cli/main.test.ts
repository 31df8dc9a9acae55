// Whole command lines in-process: exit codes, one-line errors, where text goes, help, completion.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { errorTable, MeshError } from '../base/errors.ts';
import { configViews } from './config-views.ts';
import { exitCodeOf } from './exit-codes.ts';
import { type CliIo, coloured, plain, wantsColour } from './io.ts';
import { pause, Redraw } from './redraw.ts';
import { ageText, bytesText, table } from './table.ts';
import { dump } from './testing-fixtures.ts';
import { assertGolden } from './testing-golden.ts';
import { runInProcess } from './testing-run.ts';
import { parsePart } from './which-mesh.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'ambient-cli-'));
after(() => rmSync(folder, { recursive: true }));

// A name that no lab has, so that a lab of somebody else on this machine changes nothing.
const run = (...args: string[]) => runInProcess(args, { AMBIENT_LAB: 'no-such-lab' });

const shop = path.join(import.meta.dirname, '../../deploy/samples/shop');
const whyOffline = ['why', '-f', shop, '-n', 'shop'];

const rows: readonly { title: string; args: string[]; code: number; err?: RegExp; out?: RegExp }[] = [
  { title: 'nothing at all is help', args: [], code: 0, out: /^Usage: ambientctl/ },
  {
    title: 'an unknown command has a suggestion',
    args: ['edgse'],
    code: 2,
    err: /unknown command 'edgse'; did you mean edges\?/,
  },
  { title: 'a word of another tool', args: ['proxy-status'], code: 2, err: /'proxy-status'; did you mean status\?\n$/ },
  { title: 'help as a word', args: ['help', 'lab', 'get'], code: 0, out: /^Usage: ambientctl lab get / },
  { title: 'an unknown sub-command too', args: ['lab', 'exe'], code: 2, err: /did you mean exec\?/ },
  { title: 'an unknown option', args: ['status', '--labb', 'x'], code: 2, err: /did you mean --lab\?/ },
  { title: 'a missing argument', args: ['why'], code: 2, err: /missing required argument 'from'; see --help/ },
  { title: 'a format that is none', args: ['status', '-o', 'xml'], code: 2, err: /table, wide, json, yaml/ },
  { title: 'a lab that does not run', args: ['status'], code: 3, err: /'no-such-lab' is not there; .*lab up/ },
  { title: 'a lab that is named and does not run', args: ['edges', '--lab', 'other'], code: 3, err: /'other'/ },
  { title: 'lab down of what does not run', args: ['lab', 'down', 'other'], code: 3, err: /'other'/ },
  { title: 'a kubeconfig that is not there', args: ['status', '--kubeconfig', '/x'], code: 2, err: /\/x.* ENOENT/ },
  { title: 'the same, said first', args: ['--kubeconfig', '/x', 'edges'], code: 2, err: /\/x.* ENOENT/ },
  { title: 'a cluster, for version', args: ['version', '--context', 'x', '--kubeconfig', '/y'], code: 2, err: /\/y/ },
  { title: 'a cluster and a lab', args: ['status', '--kubeconfig', '/x', '--lab', 'l'], code: 2, err: /not both/ },
  {
    title: 'a cluster, of what labs have',
    args: ['lab', 'down', '--context', 'x'],
    code: 2,
    err: /leave out --context/,
  },
  { title: 'lab up without manifests', args: ['lab', 'up'], code: 2, err: /-f deploy\/samples\/shop/ },
  { title: 'a bad header', args: ['why', 'a', 'b', '--header', 'x'], code: 2, err: /--header 'x' is not like/ },
  { title: 'bad claims', args: ['why', 'a', 'b', '--claims', '[]'], code: 2, err: /--claims is no JSON object/ },
  { title: 'a bad path', args: ['why', 'a', 'b', '--path', 'x'], code: 2, err: /--path 'x' is no path/ },
  { title: 'a waypoint of no lab', args: ['config', 'certs', '--waypoint', 'x/y'], code: 3, err: /'no-such-lab'/ },
  { title: 'routes of no lab', args: ['config', 'routes', '--waypoint', 'x/y'], code: 3, err: /'no-such-lab'/ },
  { title: 'lab up from a pipe', args: ['lab', 'up', '-f', '-'], code: 2, err: /files or folders/ },
  {
    title: 'a name after the manifests is that of the lab',
    args: ['lab', 'up', '-f', shop, path.join(shop, 'web.yaml'), 'NAME'],
    code: 2,
    err: /'NAME' is no lab name/,
  },
  { title: 'a bad duration', args: ['lab', 'up', '-f', 'x', '--timeout', 'soon'], code: 2, err: /--timeout 'soon'/ },
  { title: 'a bad image', args: ['lab', 'up', '-f', 'x', '--image', 'x'], code: 2, err: /IMAGE=COMMAND/ },
  { title: 'exec without a command', args: ['lab', 'exec', 'shop/web'], code: 2, err: /-- COMMAND/ },
  { title: 'exec into a node', args: ['lab', 'exec', 'node/a', '--', 'ls'], code: 2, err: /lab shell node\/a/ },
  { title: 'a token of nobody', args: ['lab', 'token', 'shop'], code: 2, err: /NAMESPACE\/SERVICEACCOUNT/ },
  {
    title: 'a dump that is not there',
    args: ['config', 'certs', '-f', '/nonexistent'],
    code: 2,
    err: /\/nonexistent: ENOENT/,
  },
  { title: 'a shell that is none', args: ['completion', 'tcsh'], code: 2, err: /bash, zsh or fish/ },
  { title: 'a bad port', args: ['why', 'a', 'b', '--port', '0'], code: 2, err: /--port '0'/ },
  {
    title: 'both ways of restarting',
    args: ['lab', 'restart', 'node/a', '--rolling', '--kill'],
    code: 2,
    err: /exclude/,
  },
  { title: 'a loss that is no share', args: ['lab', 'fault', 'loss', 'node-1', '150%'], code: 2, err: /no share/ },
  {
    title: 'what is allowed',
    args: [...whyOffline, 'deploy/checkout', 'svc/payments.shop'],
    code: 0,
    out: /^allowed: /,
  },
  {
    title: 'what is denied',
    args: [...whyOffline, 'deploy/web', 'svc/payments.shop'],
    code: 1,
    out: /^denied: .*-from-web/,
  },
  {
    title: 'what is not there',
    args: [...whyOffline, 'deploy/web', 'svc/paymets.shop'],
    code: 1,
    err: /did you mean svc/,
  },
  {
    title: 'a service by its title',
    args: [...whyOffline, 'deploy/web', 'payments.shop'],
    code: 1,
    err: /pod shop\/payments.shop is not there; did you mean svc\/payments.shop\?/,
  },
  {
    title: 'a service of another namespace',
    args: ['why', '-f', shop, 'shop/workload/web', 'svc/payments'],
    code: 1,
    err: /service payments.default is not there; did you mean svc\/payments.shop\?/,
  },
  {
    title: 'a pod of another namespace',
    args: ['why', '-f', shop, 'web', 'svc/payments.shop'],
    code: 1,
    err: /pod default\/web is not there; did you mean shop\/(deploy\/)?web\?/,
  },
  { title: 'manifests that are not there', args: ['why', '-f', '/nonexistent', 'a', 'b'], code: 2, err: /nonexistent/ },
  { title: 'the version, as every program has it', args: ['--version'], code: 0, out: /^\d+\.\d+\.\d+\n$/ },
  {
    title: 'the access log of a pod',
    args: ['lab', 'logs', '--access', 'shop/web'],
    code: 2,
    err: /--access node\/NAME/,
  },
  {
    title: 'a restart of the lab',
    args: ['lab', 'restart', 'lab'],
    code: 2,
    err: /node\/NAME, waypoint\/NS\/NAME or controller/,
  },
  { title: 'client version', args: ['version', '--client', '-o', 'json'], code: 0, out: /"version": "\d+\.\d+\.\d+"/ },
  {
    title: 'help of a sub-command',
    args: ['lab', 'fault', '--help'],
    code: 0,
    out: /Examples:\n {2}ambientctl lab fault delay/,
  },
];
for (const { title, args, code, err, out } of rows) {
  test(`${title}: ambientctl ${args.join(' ')}`, async () => {
    const result = await run(...args);
    assert.equal(result.code, code, result.err);
    if (err !== undefined) {
      assert.match(result.err, err);
      assert.match(result.err, /^ambientctl: [^\n]+\n$/, 'one line');
      assert.equal(result.out, '', 'nothing on stdout');
    }
    if (out !== undefined) assert.match(result.out, out);
    if (code === 0) assert.equal(result.err, '');
  });
}

test('a saved dump is read, and what is no dump is named', async () => {
  const file = path.join(folder, 'dump.json');
  writeFileSync(file, JSON.stringify(dump));
  const good = await run('config', 'workloads', '-f', file, '-n', 'legacy');
  assert.equal(good.code, 0);
  assert.match(good.out, /^NAMESPACE {3}POD_NAME [^\n]*\nlegacy {6}legacy-1 [^\n]*TCP\n$/);
  writeFileSync(file, '{"workloads": []}');
  const bad = await run('config', 'workloads', '-f', file);
  assert.deepEqual([bad.code, bad.out], [2, '']);
  assert.match(bad.err, /is no dump of a proxy/);
});

test('a dump on standard input may come late', async () => {
  const program = path.join(import.meta.dirname, '../bin/ambientctl.ts');
  const child = spawn(process.execPath, [program, 'config', 'certs', '-f', '-', '-o', 'json']);
  let out = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  const closed = once(child, 'close');
  const text = JSON.stringify(dump);
  // Two writes with a pause between: the reader finds nothing there at first, and nothing in the middle.
  for (const part of [text.slice(0, 100), text.slice(100)]) {
    await new Promise((resolve) => setTimeout(resolve, 250));
    child.stdin.write(part);
  }
  child.stdin.end();
  assert.deepEqual(await closed, [0, null]);
  assert.deepEqual(JSON.parse(out), JSON.parse(JSON.stringify(dump.certificates)));
});

test('the help of every command, as it is printed', async () => {
  const commands = [
    [],
    ['lab'],
    ['lab', 'up'],
    ['lab', 'exec'],
    ['lab', 'fault'],
    ['config'],
    ['config', 'certs'],
    ['why'],
    ['edges'],
    ['status'],
  ];
  let all = '';
  for (const command of commands)
    all += `$ ambientctl ${[...command, '--help'].join(' ')}\n${(await run(...command, '--help')).out}\n`;
  assertGolden('help.txt', all);
});

test('help loads no module of a command, so that it comes at once', () => {
  const program = path.join(import.meta.dirname, '../bin/ambientctl.ts');
  const hook = path.join(folder, 'hook.mjs');
  writeFileSync(
    hook,
    `import { registerHooks } from 'node:module';
     registerHooks({ load(url, context, next) { process.stderr.write(url + '\\n'); return next(url, context); } });`,
  );
  const shown = spawnSync(process.execPath, ['--import', hook, program, '--help'], {
    encoding: 'utf8',
    timeout: 10_000,
  });
  assert.equal(shown.status, 0);
  assert.match(shown.stdout, /^Usage: ambientctl/);
  const loaded = shown.stderr.split('\n').filter((url) => url.includes('/src/') && !/\/(cli|bin|base)\//.test(url));
  assert.deepEqual(loaded, [], 'nothing below the CLI is needed to print help');
});

test('completion: commands, options, choices, files, and nothing where there is nothing', async () => {
  const complete = async (...words: string[]): Promise<string[]> => {
    const { code, out, err } = await run('__complete', '--', ...words);
    assert.deepEqual([code, err], [0, '']);
    return out
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split('\t')[0]!);
  };
  assert.deepEqual(await complete('lab', 're'), ['restart']);
  assert.deepEqual(await complete('co'), ['config', 'completion']);
  assert.deepEqual(await complete('status', '-o', ''), ['table', 'wide', 'json', 'yaml']);
  assert.deepEqual(await complete('lab', 'up', '--n'), ['--nodes']);
  assert.deepEqual(await complete('lab', 'up', '-f', ''), [':files']);
  assert.deepEqual(await complete('completion', ''), ['bash', 'zsh', 'fish']);
  // What may be said again is offered again.
  assert.deepEqual(await complete('simulate', '--delete', 'Service/shop/cart', '--del'), ['--delete']);
  assert.deepEqual(await complete('simulate', '--last', '1m', '--las'), []);
  assert.deepEqual(await complete('simulate', '-f', ''), [':files']);
  assert.deepEqual(await complete('simulate', '--last', '1'), ['1m', '10m', '1h']);
  assert.deepEqual(await complete('test', '--test', 'waypoint-s'), ['waypoint-split']);
  assert.deepEqual(await complete('why', '--method', 'P'), ['POST', 'PUT', 'PATCH']);
  assert.deepEqual(await complete('lab', 'exec', ''), []);
  assert.deepEqual(await complete('config', ''), [...configViews]);
});

test('the completion script of bash completes in bash', async () => {
  const { out } = await run('completion', 'bash');
  const file = path.join(import.meta.dirname, '../bin/ambientctl.ts');
  const program = `ambientctl() { ${process.execPath} ${file} "$@"; }`;
  const ask = `COMP_WORDS=(ambientctl lab sh); COMP_CWORD=2; _ambientctl; echo "\${COMPREPLY[*]}"`;
  const shell = spawnSync('bash', ['-c', `${program}\n${out}\n${ask}`], { encoding: 'utf8', timeout: 10_000 });
  assert.equal(shell.stdout, 'shell\n', shell.stderr);
});

test('every error has an exit code of the table, and what is unknown is a 1', () => {
  const codes = new Set(
    Object.keys(errorTable).map((code) => exitCodeOf(new MeshError(code as keyof typeof errorTable))),
  );
  assert.deepEqual([...codes].sort(), [1, 2, 3, 4]);
  assert.equal(exitCodeOf(new Error('x')), 1);
  assert.equal(exitCodeOf(new MeshError('TIMED_OUT')), 4);
});

test('names of parts', () => {
  assert.deepEqual(parsePart('controller', undefined), { kind: 'controller' });
  assert.deepEqual(parsePart('node/n1', undefined), { kind: 'node', name: 'n1' });
  assert.deepEqual(parsePart('shop/web', 'other'), { kind: 'pod', namespace: 'shop', name: 'web' });
  assert.deepEqual(parsePart('web', 'shop'), { kind: 'pod', namespace: 'shop', name: 'web' });
  assert.deepEqual(parsePart('deploy/web', 'shop'), { kind: 'pod', namespace: 'shop', name: 'deploy/web' });
  assert.deepEqual(parsePart('shop/deploy/web', undefined), { kind: 'pod', namespace: 'shop', name: 'deploy/web' });
  for (const bad of ['', 'a/b/c', '/x', 'x/']) assert.throws(() => parsePart(bad, undefined), /names nothing/);
});

test('tables: widths, alignment, absent cells, colours that do not count', () => {
  const shown = table(
    [
      { header: 'NAME', value: (row: { name: string; n: number | null }) => row.name, tone: () => 'good' },
      { header: 'N', value: (row) => row.n },
      { header: 'LAST', value: () => '' },
    ],
    [
      { name: 'a', n: 5 },
      { name: 'long', n: 1234 },
      { name: 'b', n: null },
    ],
    { wide: false, paint: coloured },
  );
  const colourCode = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, 'g');
  assert.equal(
    shown.replaceAll(colourCode, ''),
    'NAME      N   LAST\na         5   -\nlong   1234   -\nb         -   -\n',
  );
  assert.match(shown, colourCode);
  const bare = { wide: false, paint: plain, headers: false };
  assert.equal(table([{ header: 'LONG', value: () => 1 }], [1, 2], bare), '1\n1\n');
  assert.equal(table([{ header: 'X', value: () => 1 }], [], bare, 'none'), '');
  assert.equal(table([{ header: 'X', value: () => 1 }], [], undefined, 'none'), 'none\n');
});

test('figures for people', () => {
  assert.deepEqual([0, 999, 1000, 4100, 999_999, 123_456_789].map(bytesText), [
    '0B',
    '999B',
    '1.0kB',
    '4.1kB',
    '1.0MB',
    '123MB',
  ]);
  const age = (seconds: number): string =>
    ageText('2026-01-01T00:00:00Z', Date.parse('2026-01-01T00:00:00Z') + seconds * 1000);
  assert.deepEqual([5, 119, 121, 7300, 200_000].map(age), ['5s', '119s', '2m', '2h', '2d']);
  assert.equal(ageText(null, 0), '-');
});

test('colour only where it is wanted', () => {
  assert.equal(wantsColour(true, {}), true);
  assert.equal(wantsColour(false, {}), false);
  assert.equal(wantsColour(true, { NO_COLOR: '1' }), false);
  assert.equal(wantsColour(true, { TERM: 'dumb' }), false);
  assert.equal(wantsColour(false, { FORCE_COLOR: '1' }), true);
});

test('what is redrawn goes up by the lines that are there, clears their rests, and gives the cursor back', async () => {
  let out = '';
  const io = { isTerminal: true, stdout: { write: (text: string) => (out += text) } } as unknown as CliIo;
  const screen = new Redraw(io);
  screen.draw('a\nb\n');
  screen.draw('c\n');
  screen.end();
  const shown = out.replaceAll(String.fromCharCode(27), '^');
  assert.equal(shown, '^[?25l^[?7l\ra^[K\nb^[K\n^[J^[?7h' + '^[?25l^[?7l^[2A\rc^[K\n^[J^[?7h' + '^[?25h');
  const stop = new AbortController();
  const waiting = pause(60_000, stop.signal);
  stop.abort();
  assert.equal(await waiting, false);
  assert.equal(await pause(1, new AbortController().signal), true);
});

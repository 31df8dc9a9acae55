import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { MeshError } from '../base/errors.ts';
import { listenersVariable, takeListeners } from './listeners.ts';

const launcher = new URL('../../native-free/launcher.pl', import.meta.url).pathname;

/** Runs a few lines of JavaScript behind the launcher; `takeListeners` is at hand. */
function launched(lines: string, args: readonly string[]) {
  const module = new URL('./listeners.ts', import.meta.url).href;
  const script = `import { takeListeners } from '${module}'; const listeners = takeListeners(process.env); ${lines}`;
  const listen = ['outbound=0', 'inbound=0', 'hbone=0'].flatMap((pair) => ['--listen', pair]);
  return spawnSync(
    'perl',
    [launcher, '--plain', ...args, ...listen, '--', process.execPath, '--input-type=module', '-e', script],
    { encoding: 'utf8', timeout: 20_000 },
  );
}

test('each thread has descriptors of its own, and spares until they are used up', () => {
  const run = launched(
    `const seen = [];
     for (let thread = 0; thread < listeners.threads; thread++) {
       for (let life = 0; life < 3; life++) seen.push(...Object.values(listeners.of(thread, life)).flat());
     }
     let code = ''; try { listeners.of(0, 3); } catch (error) { code = error.code; }
     const left = process.env.${listenersVariable} ?? null;
     console.log(JSON.stringify([listeners.threads, seen.length, new Set(seen).size, code, left]));`,
    ['--threads', '2', '--spares', '2'],
  );
  assert.equal(run.stderr, '');
  assert.deepEqual(JSON.parse(run.stdout), [2, 18, 18, 'LIMIT_REACHED', null]);
});

test('a spare keeps the accept queue open until it is closed too', () => {
  const run = launched(
    `const { connect, createServer } = await import('node:net');
     const server = createServer();
     await new Promise((resolve) => server.listen({ fd: listeners.of(0, 0).outbound[0] }, resolve));
     const { port } = server.address();
     const dial = () => new Promise((resolve) => {
       const socket = connect({ host: '127.0.0.1', port }, () => resolve('queued')).on('error', (e) => resolve(e.code));
       setTimeout(() => socket.destroy(), 500).unref();
     });
     await new Promise((resolve) => server.close(resolve));
     const before = await dial();
     listeners.closeSpares();
     console.log(JSON.stringify([before, await dial()]));
     process.exit(0);`,
    ['--spares', '2'],
  );
  assert.equal(run.stderr, '');
  assert.deepEqual(JSON.parse(run.stdout), ['queued', 'ECONNREFUSED']);
});

test('the limit of open files is raised to the hard one', () => {
  const line = `const { readFileSync } = await import('node:fs');
    const limits = readFileSync('/proc/self/limits', 'utf8').match(/Max open files +(\\S+) +(\\S+)/);
    console.log(limits.slice(1).join());`;
  const [soft, hard] = launched(line, []).stdout.trim().split(',');
  assert.ok(soft);
  assert.equal(soft, hard);
});

const broken: Record<string, string | undefined> = {
  'no variable': undefined,
  'no JSON': '{',
  'no threads': '{"threads":[]}',
  'a role without sockets': '{"threads":[{"outbound":[0],"inbound":[]}]}',
  'a descriptor that is not open': '{"threads":[{"outbound":[9999],"inbound":[9999],"hbone":[9999]}]}',
};
for (const [name, value] of Object.entries(broken)) {
  test(`refused: ${name}`, () => {
    const env = value === undefined ? {} : { [listenersVariable]: value };
    assert.throws(
      () => takeListeners(env),
      (error) => error instanceof MeshError && error.code === 'CAPTURE_FAILED',
    );
  });
}

test('the launcher says what is wrong with its arguments', () => {
  const run = spawnSync('perl', [launcher, '--listen', 'outbound', '--', 'true'], { encoding: 'utf8' });
  assert.equal(run.status, 1);
  assert.match(run.stderr, /^ambient: cannot set up capture: --listen 'outbound' is not NAME=PORT/);
});

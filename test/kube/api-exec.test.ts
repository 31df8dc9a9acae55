// `pods/exec` and `pods/log` of the lab's API server, with programs of this machine in the place of containers.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { type ApiAddress, ApiServer } from '../../src/lab/api-server/api-server.ts';
import type { ContainerAccess, ContainerName } from '../../src/lab/api-server/containers.ts';
import { ApiFailure } from '../../src/lab/api-server/failure.ts';
import { leaveWebSocket, overSpdy, overWebSocket } from './exec-client.ts';

const check = ({ pod }: ContainerName): void => {
  if (pod !== 'web') throw new ApiFailure(404, 'NotFound', `pods "${pod}" not found`, { name: pod, kind: 'pods' });
};
/** Programs that run, and how those that have ended did. */
const children: ChildProcess[] = [];
const containers: ContainerAccess = {
  check,
  exec: ({ command: [program = '', ...args] }) => {
    const child = spawn(program, args, { stdio: 'pipe' });
    children.push(child);
    return child;
  },
  async *logs(request, signal) {
    check(request);
    yield Buffer.from(`${JSON.stringify(request)}\n`);
    while (request.follow && !signal.aborted) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      yield Buffer.from('more\n');
    }
  },
};
const execPath = '/api/v1/namespaces/shop/pods/web/exec';
const pathOf = (flags: string, ...command: readonly string[]): string =>
  `${execPath}?${flags}${command.map((word) => `&command=${encodeURIComponent(word)}`).join('')}`;

for (const [name, execute] of Object.entries({ WebSocket: overWebSocket, SPDY: overSpdy })) {
  describe(`pods/exec over ${name}`, { timeout: 30_000 }, () => {
    const server = new ApiServer({ containers });
    let api: ApiAddress;
    before(async () => {
      api = await server.start();
    });
    after(() => server.close());

    test('output, and how it ended', async () => {
      const path = pathOf('stdout=1&stderr=1', 'sh', '-c', 'echo out; echo err >&2; exit 3');
      const { status, stdout, stderr, said } = await execute(api, path, null);
      assert.deepEqual([status, stdout, stderr], [101, 'out\n', 'err\n']);
      const { reason, details } = JSON.parse(said);
      assert.deepEqual([reason, details.causes], ['NonZeroExitCode', [{ reason: 'ExitCode', message: '3' }]]);
    });

    test('standard input, which ends', async () => {
      const { stdout, said } = await execute(api, pathOf('stdin=1&stdout=1', 'cat'), 'what is said');
      assert.equal(stdout, 'what is said');
      assert.equal(JSON.parse(said).status, 'Success');
    });

    test('much output', async () => {
      const program = 'process.stdout.write("x".repeat(3_000_000))';
      const { stdout } = await execute(api, pathOf('stdout=1', process.execPath, '-e', program), null);
      assert.equal(stdout.length, 3_000_000);
    });

    test('a program that is not there, a pod that is not, a query that is none, a caller who may not', async () => {
      const { said } = await execute(api, pathOf('stdout=1', '/nowhere/program'), null);
      assert.match(JSON.parse(said).message, /ENOENT/);
      const missing = await execute(api, pathOf('stdout=1', 'ls').replace('/web/', '/none/'), null);
      assert.deepEqual([missing.status, JSON.parse(missing.said).reason], [404, 'NotFound']);
      for (const path of [`${execPath}?stdout=1`, `${execPath}?command=ls`]) {
        assert.equal((await execute(api, path, null)).status, 400);
      }
      const stranger = { ...api, token: server.addUser({ username: 'stranger', groups: ['system:authenticated'] }) };
      assert.equal((await execute(stranger, pathOf('stdout=1', 'ls'), null)).status, 403);
      assert.equal((await execute(api, pathOf('stdout=1', 'ls').replace('/exec', '/attach'), null)).status, 404);
    });
  });
}

describe('pods/exec that does not end by itself', { timeout: 30_000 }, () => {
  const path = pathOf('stdout=1', process.execPath, '-e', 'console.log("here"); setTimeout(() => {}, 60_000)');

  test('the program is told when its client leaves, and when the server ends', async () => {
    const server = new ApiServer({ containers });
    const api = await server.start();
    const count = children.length;
    const ended = async (): Promise<unknown> => {
      const child = children.at(-1)!;
      if (child.signalCode === null) await once(child, 'exit');
      return child.signalCode;
    };
    await leaveWebSocket(api, path);
    assert.equal(await ended(), 'SIGHUP');
    const { promise, resolve } = Promise.withResolvers<void>();
    const running = leaveWebSocket(api, path, promise);
    while (children.length < count + 2) await new Promise((next) => setTimeout(next, 10));
    await once(children.at(-1)!.stdout!, 'data');
    await server.close();
    resolve();
    await running;
    assert.equal(await ended(), 'SIGHUP');
  });
});

describe('pods/log', { timeout: 30_000 }, () => {
  test('the text, followed until the caller leaves; what a lab does not keep is refused', async () => {
    const server = new ApiServer({ containers });
    const { url, token, caPem } = await server.start();
    const { request } = await import('node:https');
    const get = (query: string, onChunk: (text: string) => boolean): Promise<number> =>
      new Promise((resolve, reject) => {
        const path = `/api/v1/namespaces/shop/pods/web/log?${query}`;
        const headers = { authorization: `Bearer ${token}` };
        const outgoing = request(`${url}${path}`, { ca: caPem, headers, agent: false }, (response) => {
          response.setEncoding('utf8');
          response.on('data', (text: string) => {
            if (onChunk(text)) return;
            response.destroy();
            resolve(response.statusCode ?? 0);
          });
          response.on('end', () => resolve(response.statusCode ?? 0));
        });
        outgoing.on('error', reject);
        outgoing.end();
      });
    let text = '';
    const keep = (more: string): boolean => {
      text += more;
      return !text.includes('more\nmore\n');
    };
    assert.equal(await get('container=echo&tailLines=5', keep), 200);
    const asked = { namespace: 'shop', pod: 'web', container: 'echo', follow: false, tailLines: 5 };
    assert.deepEqual(JSON.parse(text), asked);
    assert.equal(await get('follow=true', keep), 200);
    assert.equal(await get('previous=true', () => true), 400);
    await server.close();
  });
});

// The same tests once more with documented APIs alone: what runs where a Node is not as `adopt.ts` expects it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { it } from 'node:test';

const files = [
  'tcp-stream.test.ts',
  '../tunnel/tunnel.test.ts',
  '../h2/session-node.test.ts',
  '../../test/direct/tunnel.test.ts',
  '../../test/direct/splice.test.ts',
];

it('streams and tunnels work with documented APIs alone', { timeout: 120_000 }, async () => {
  const args = ['--test', '--test-reporter=tap', ...files.map((file) => join(import.meta.dirname, file))];
  const env = { ...process.env, AMBIENT_DOCUMENTED_IO: '1' };
  // The runner must not take this for a part of its own run.
  delete (env as Record<string, string | undefined>).NODE_TEST_CONTEXT;
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk;
  });
  const [code] = (await once(child, 'close')) as [number];
  assert.equal(code, 0, output);
  assert.match(output, /# pass [1-9]/);
});

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { digestOf } from '../base/file-digest.ts';
import { type NodeConfig, readNodeConfig } from '../config/node.ts';
import { createLogger } from '../telemetry/logger.ts';
import { ConfigKeeper } from './config-keeper.ts';

const least = 'nodeName: n1\ncontrollerUrl: https://10.80.0.1:15012\npodCidrs: [10.244.1.0/24]\n';
const waitMs = 10_000;
const reader = async () => readNodeConfig;

async function setUp(context: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'config-keeper-'));
  // As Kubernetes mounts a ConfigMap: FILE -> ..data/FILE, ..data -> a folder that is swapped.
  let generation = 0;
  const write = (text: string): void => {
    const data = join(folder, `..${++generation}`);
    mkdirSync(data);
    writeFileSync(join(data, 'node.yaml'), text);
    symlinkSync(data, join(folder, '..new'));
    renameSync(join(folder, '..new'), join(folder, '..data'));
  };
  write(least);
  const file = join(folder, 'node.yaml');
  symlinkSync(join('..data', 'node.yaml'), file);
  const lines: string[] = [];
  const log = createLogger({ level: 'info', format: 'text', write: (line) => lines.push(line) });
  const changes: NodeConfig[] = [];
  const onChange = (config: NodeConfig) => changes.push(config);
  const keeper = new ConfigKeeper({ file, config: readNodeConfig(file), reader, clock: systemClock, log, onChange });
  context.after(() => {
    keeper.close();
    rmSync(folder, { recursive: true });
  });
  await keeper.start();
  return { write, file, lines, changes, keeper };
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadlineMs = performance.now() + waitMs;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error(`waited ${waitMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test('limits, times and the log change while it runs, also behind swapped links', async (context) => {
  const { write, changes, keeper } = await setUp(context);
  assert.equal(changes.length, 0);
  write(`${least}limits: {connectionsMax: 7}\ntimeouts: {idle: 5s}\nlog: {level: debug}\n`);
  await until(() => changes.length === 1, 'the change');
  const [config] = changes;
  assert.equal(config?.limits.connectionsMax, 7);
  assert.equal(config?.timeouts.idleMs, 5000);
  assert.equal(config?.log.level, 'debug');
  assert.deepEqual(keeper.view().needsRestart, []);
  write(least);
  await until(() => changes.length === 2, 'the way back');
  assert.equal(changes[1]?.limits.connectionsMax, 100_000);
});

test('a wrong file changes nothing and is named with its place, until it is mended', async (context) => {
  const { write, file, lines, changes, keeper } = await setUp(context);
  write(`${least}limits:\n  connectionsMax: none\n`);
  await until(() => keeper.view().error !== null, 'the error');
  assert.match(keeper.view().error ?? '', /node\.yaml:5:19: .*whole number/);
  assert(keeper.view().error?.startsWith(file));
  assert.match(lines.join(''), /ERROR .*last good one stays.*node\.yaml:5:19/);
  assert.equal(changes.length, 0);
  write(`${least}limits:\n  connectionsMax: 5\n`);
  await until(() => changes.length === 1, 'the repair');
  assert.equal(keeper.view().error, null);
});

test('a change that needs a restart is said and not taken over', async (context) => {
  const { write, lines, changes, keeper } = await setUp(context);
  write(`${least}sameNode: tunnel\nlog: {accessFile: /tmp/elsewhere}\nlimits: {endpointAttempts: 1}\n`);
  await until(() => changes.length === 1, 'what can be taken over');
  assert.deepEqual(keeper.view().needsRestart, ['sameNode', 'log.accessFile']);
  assert.match(lines.join(''), /WARN .*need a restart/);
  assert.equal(changes[0]?.sameNode, 'direct');
  assert.equal(changes[0]?.log.accessFile, '');
  assert.equal(changes[0]?.limits.endpointAttempts, 1);
});

test('a file that is still what the proxy was started with is not read again', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'config-keeper-'));
  const file = join(folder, 'node.yaml');
  writeFileSync(file, least);
  const log = createLogger({ level: 'info', format: 'text', write: () => {} });
  const started = { ...readNodeConfig(file), limits: { ...readNodeConfig(file).limits, connectionsMax: 7 } };
  for (const [digest, changes] of [
    [digestOf(file), 0],
    ['another', 1],
  ] as const) {
    let count = 0;
    const keeper = new ConfigKeeper({
      file,
      config: started,
      digest,
      reader,
      clock: systemClock,
      log,
      onChange: () => count++,
    });
    await keeper.start();
    keeper.close();
    assert.equal(count, changes);
  }
  context.after(() => rmSync(folder, { recursive: true }));
});

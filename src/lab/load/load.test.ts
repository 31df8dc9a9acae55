// The load generator against a real echo: its pace, its reconnects, and that errors do not stop it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { echoOptions } from '../echo/options.ts';
import { startEcho } from '../echo/server.ts';
import { LoadRun, loadOptions } from './load.ts';

test('sends at the asked rate to http and tcp targets, counts failures, and says so in one line', async () => {
  const ports = JSON.stringify([
    { name: 'http', containerPort: 0 },
    { name: 'tcp', containerPort: 0 },
  ]);
  const echo = await startEcho(echoOptions({ PORTS: ports }));
  const targets = [`http://127.0.0.1:${echo.ports[0]}/`, `tcp://127.0.0.1:${echo.ports[1]}`, 'http://127.0.0.1:1/'];
  const run = new LoadRun(
    loadOptions(['--rate', '60', '--requests-per-connection', '3', '--connections', '6', ...targets], {}),
  );
  const startedAt = performance.now();
  run.start();
  // A busy machine may be slow; faster than asked for nobody may be.
  while ((run.ok < 15 || run.failed < 5) && performance.now() - startedAt < 20_000) await sleep(100);
  const seconds = (performance.now() - startedAt) / 1000;
  const line = run.summary();
  run.close();
  await echo.close();
  const most = 40 * seconds + 6; // two thirds of the targets answer; each connection may be one ahead
  assert.ok(run.ok >= 15 && run.ok <= most, `${run.ok} requests in ${seconds} s, at most ${most}`);
  assert.ok(run.failed >= 5, `the closed port was tried again and again, ${run.failed} times`);
  assert.match(
    line,
    /^load: \d+ s, p50 \d+\.\d ms, p99 .* ok; tcp:.* ok; .*:1\/ 0 ok, \d+ failed \(ECONNREFUSED ×\d+\)$/,
  );
  assert.match(run.total(), /^load: in all \d+ ok, \d+ failed in \d+\.\d s$/);
});

test('options: arguments win over the environment, and mistakes are named', () => {
  const options = loadOptions(['--rate', '5', 'http://a/'], { TARGETS: 'http://b/', RATE: '9', CONNECTIONS: '4' });
  assert.deepEqual([options.targets, options.ratePerS, options.connections], [['http://a/'], 5, 4]);
  assert.throws(() => loadOptions([], {}), /TARGETS/);
  assert.throws(() => loadOptions(['nonsense'], {}), /nonsense/);
  assert.throws(() => loadOptions(['--rate', '-1', 'http://a/'], {}), /rate/i);
  assert.throws(() => loadOptions(['--what', 'http://a/'], {}), /--what/);
});

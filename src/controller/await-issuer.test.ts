// A controller whose issuer is in the cluster, and an API server that is not there yet when it starts.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { MeshError } from '../base/errors.ts';
import { ManualClock } from '../base/manual-clock.ts';
import { ApiServer } from '../lab/api-server/api-server.ts';
import { createLogger } from '../telemetry/logger.ts';
import { awaitIssuer } from './await-issuer.ts';
import { eventually, prepared } from './testing-controller.ts';

const apiError = (status: number, reason: string, retryAfterMs = 0): MeshError =>
  new MeshError('KUBE_API', { what: 'GET secrets', status, reason, message: 'no', retryAfterMs });
const away = new MeshError('NOT_REACHABLE', { what: 'the API server', reason: 'ECONNREFUSED', hint: 'again' });

/** A Secret that fails as often as there are errors, and is good then. */
function waiting(errors: readonly MeshError[]) {
  const clock = new ManualClock(1_000_000);
  const lines: string[] = [];
  const waits: string[] = [];
  const left = [...errors];
  const tried: number[] = [];
  const secret = {
    title: 'Secret system/ca',
    fetch: async (nowMs: number) => {
      tried.push(nowMs - 1_000_000);
      const error = left.shift();
      if (error !== undefined) throw error;
    },
  };
  const log = createLogger({ level: 'info', format: 'text', write: (line) => lines.push(line) });
  const done = awaitIssuer({ secret, clock, random: () => 0, log, waits: (what) => waits.push(what) });
  const pass = async (): Promise<void> => {
    for (let settle = 0; settle < 10; settle++) await new Promise(setImmediate);
    clock.advance(500);
  };
  return { done, lines, waits, tried, pass };
}

test('what may pass is waited for, longer each time, and said when it is something new', async () => {
  const forbidden = apiError(403, 'Forbidden');
  const all = [away, away, apiError(503, 'ServiceUnavailable', 7_000), forbidden, apiError(404, 'NotFound')];
  const { done, lines, waits, tried, pass } = waiting(all);
  const settled = done.then(() => true);
  for (let half = 0; half < 60; half++) await pass();
  assert.equal(await settled, true);
  assert.deepEqual(tried, [0, 500, 1_500, 8_500, 12_500, 20_500]);
  assert.equal(waits.length, all.length);
  const said = lines.map((line) => /ECONNREFUSED|503|403|404|issuer can be read/.exec(line)?.[0]);
  assert.deepEqual(said, ['ECONNREFUSED', '503', '403', '404', 'issuer can be read']);
  assert.match(lines.join(''), /give its service account get and create for secrets/);
});

test('a wait that goes on is said again each minute', async () => {
  const { done, lines, pass } = waiting(Array(20).fill(away));
  for (let half = 0; half < 360; half++) await pass();
  await done;
  assert.equal(lines.filter((line) => line.includes('it is tried again')).length, 3);
});

test('a Secret that is no issuer is not waited for', async () => {
  const wrong = new MeshError('CONFIG_INVALID', { place: 'Secret system/ca', reason: 'it has no key' });
  await assert.rejects(waiting([wrong]).done, { code: 'CONFIG_INVALID' });
});

test('no API server at the start: alive, not ready, and there as soon as it answers', {
  timeout: 60_000,
}, async (context) => {
  const server = new ApiServer();
  await server.start();
  context.after(() => server.close());
  server.store.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'ambient-system' } });
  server.faults.add({ cut: true });
  const { start, lines } = prepared(
    context,
    { source: 'kubernetes', sources: [], caSecret: 'ambient-ca' },
    ({ file }) => {
      writeFileSync(file('kubeconfig'), server.kubeconfig('test'));
    },
  );
  const starting = start();
  const said = (pattern: RegExp): string | undefined => lines.map((line) => pattern.exec(line)?.[1]).find(Boolean);
  await eventually(() => said(/(it is tried again)/) !== undefined, 'it says that it waits', 2_000);
  const port = said(/readiness=(\d+)/);
  const probe = async (what: string) => {
    const answer = await fetch(`http://127.0.0.1:${port}/healthz/${what}`);
    return [answer.status, await answer.text()] as const;
  };
  assert.equal((await probe('live'))[0], 200);
  const [code, words] = await probe('ready');
  assert.equal(code, 503);
  assert.match(words, /Secret ambient-system\/ambient-ca/);
  server.faults.clear();
  const controller = await starting;
  context.after(() => controller.close());
  await eventually(async () => (await probe('ready'))[0] === 200, 'ready', 2_000);
  assert.equal(server.store.get('Secret', 'ambient-system', 'ambient-ca')?.kind, 'Secret');
});

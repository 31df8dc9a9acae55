import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshError } from '../base/errors.ts';
import { createLogger } from './logger.ts';

function capture(format: 'json' | 'text', level = 'info') {
  const lines: string[] = [];
  return { lines, log: createLogger({ level, format, write: (line) => lines.push(line) }) };
}

test('text is one line per message, with its fields behind it', () => {
  const { lines, log } = capture('text');
  log.info({ node: 'n1', why: 'two words' }, 'started');
  assert.match(lines[0] ?? '', /^\d{4}-\d\d-\d\dT[\d:.]+Z INFO {2}started node=n1 why="two words"\n$/);
});

test('JSON carries level and time by name', () => {
  const { lines, log } = capture('json');
  log.warn({ n: 1 }, 'careful');
  const { level, msg, n, time } = JSON.parse(lines[0] ?? '{}') as Record<string, unknown>;
  assert.deepEqual([level, msg, n, typeof time], ['warn', 'careful', 1, 'string']);
});

test('secrets are not written, errors of ours are one sentence', () => {
  const { lines, log } = capture('json');
  log.error({ keyPem: 'PRIVATE', peer: { token: 'eyJ' }, error: new MeshError('DRAINED') }, 'oh');
  assert.doesNotMatch(lines[0] ?? '', /PRIVATE|eyJ/);
  assert.match(lines[0] ?? '', /"error":"closed because the proxy is shutting down"/);
});

test('the level can be changed at run time', () => {
  const { lines, log } = capture('text');
  log.debug('unseen');
  log.level = 'debug';
  log.debug('seen');
  assert.equal(lines.length, 1);
});

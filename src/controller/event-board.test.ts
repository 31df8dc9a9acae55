// The Events that can be asked for: counted when they are told again, the oldest gone when there are too many.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClusterEvent } from '../kube/event-writer.ts';
import { EventBoard } from './event-board.ts';

const noon = Date.UTC(2026, 0, 1, 12);

function event(note: string): ClusterEvent {
  const regarding = { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'cart-1', uid: 'u' };
  return { regarding, type: 'Warning', reason: 'EndpointEjected', note };
}

test('what is told again is counted, and comes last', () => {
  const board = new EventBoard();
  for (const [at, note] of ['a', 'b', 'a'].entries()) board.tell(event(note), noon + at * 1_000);
  assert.deepEqual(
    board.views().map(({ note, count, firstTime, lastTime }) => [note, count, firstTime, lastTime]),
    [
      ['b', 1, '2026-01-01T12:00:01.000Z', '2026-01-01T12:00:01.000Z'],
      ['a', 2, '2026-01-01T12:00:00.000Z', '2026-01-01T12:00:02.000Z'],
    ],
  );
});

test('of too many the newest stay', () => {
  const board = new EventBoard();
  for (let at = 0; at < 201; at++) board.tell(event(`${at}`), noon);
  const notes = board.views().map(({ note }) => note);
  assert.deepEqual([notes.length, notes[0], notes.at(-1)], [200, '1', '200']);
});

// What is said while something is waited for: nothing when it is quick, a spinner on a terminal, lines elsewhere; and
// how Ctrl-C ends it.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { CliIo } from './io.ts';
import { type Say, shown, waiting, waitUntil } from './progress.ts';

function scene(context: TestContext, isTerminal: boolean) {
  context.mock.timers.enable({ apis: ['setInterval', 'setTimeout', 'Date'] });
  const interrupt = new AbortController();
  const state = { err: '' };
  const stderr = {
    write: (text: string) => {
      state.err += text;
    },
  };
  const io = { stderr, env: {}, talkIsTerminal: isTerminal, columns: 80, stderrColour: false };
  return {
    io: { ...io, interruption: () => interrupt.signal } as unknown as CliIo,
    interrupt,
    said: () => state.err.replaceAll(String.fromCharCode(27), '^'),
    pass: (ms: number) => context.mock.timers.tick(ms),
  };
}

test('nothing is said of what is quick', async (context) => {
  const { io, said, pass } = scene(context, true);
  const done = Promise.withResolvers<number>();
  const answer = waiting(io, { what: 'it' }, () => done.promise);
  pass(900);
  done.resolve(7);
  assert.equal(await answer, 7);
  assert.equal(said(), '');
});

test('on a terminal a line is drawn over itself, and goes', async (context) => {
  const { io, said, pass } = scene(context, true);
  const done = Promise.withResolvers<void>();
  let say: Say = () => {};
  const answer = waiting(io, { what: 'it' }, (given) => {
    say = given;
    return done.promise;
  });
  say('a part');
  pass(1_100);
  assert.match(said(), /^\r\^\[K\S waiting for it: a part \(1s\)/);
  done.resolve();
  await answer;
  assert.match(said(), /\r\^\[K$/);
});

test('elsewhere there is a line for each new reason', async (context) => {
  const { io, said, pass } = scene(context, false);
  const done = Promise.withResolvers<void>();
  let say: Say = () => {};
  const answer = waiting(io, { what: 'it' }, (given) => {
    say = given;
    return done.promise;
  });
  say('one');
  pass(3_000);
  say('two');
  pass(2_000);
  done.resolve();
  await answer;
  assert.equal(said(), '- waiting for it: one\n- waiting for it: two\n');
});

test('a wait within a wait has no line of its own, and where scripts read nothing is said', async (context) => {
  const { io, said, pass } = scene(context, false);
  const done = Promise.withResolvers<void>();
  const answers = [
    waiting(io, { what: 'it' }, () => done.promise),
    waiting(io, { what: 'a part of it' }, () => done.promise),
    shown(io, 'another', () => done.promise),
  ];
  pass(2_000);
  done.resolve();
  await Promise.all(answers);
  assert.equal(said(), '- waiting for it\n');
});

test('Ctrl-C ends it at once and says what stays behind', async (context) => {
  const { io, said, interrupt } = scene(context, false);
  const wait = { what: 'the waypoint', leaves: 'its Gateway stays' };
  const answer = waiting(io, wait, () => new Promise<never>(() => {}));
  interrupt.abort();
  await assert.rejects(answer, { name: 'AbortError' });
  assert.equal(said(), 'interrupted while waiting for the waypoint; its Gateway stays\n');
});

test('what takes too long says what was missing last', async (context) => {
  const { io, pass } = scene(context, false);
  const until = { what: 'the proxies', hint: 'see it', timeoutMs: 1_000 };
  const answer = waitUntil(io, until, async () => 'node-2');
  answer.catch(() => {});
  for (let at = 0; at < 10; at++) {
    await turn();
    pass(250);
  }
  await assert.rejects(answer, /the proxies took longer than 1000 ms; node-2; see it/);
});

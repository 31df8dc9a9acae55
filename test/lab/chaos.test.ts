// A short piece of chaos in every run: other faults each time, with the seed in the failure. `npm run chaos` for more.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runChaos } from '../chaos/chaos.ts';

const seconds = 30;

test('chaos: what must hold holds, and nothing is left behind', { timeout: 300_000 }, async (context) => {
  const seed = Number(process.env.CHAOS_SEED ?? Math.floor(Math.random() * 2 ** 31));
  context.diagnostic(`seed ${seed}`);
  const { failures, timeline, tally } = await runChaos(seed, seconds, () => undefined);
  const story = [...failures, `npm run chaos -- --seed ${seed} --minutes ${seconds / 60}`, ...timeline.slice(-40)];
  assert.equal(failures.length, 0, story.join('\n'));
  const served = Object.entries(tally).filter(([name]) => name.startsWith('client') && name.endsWith('fine'));
  assert(served.length >= 5, `kinds that were served: ${JSON.stringify(tally)}`);
});

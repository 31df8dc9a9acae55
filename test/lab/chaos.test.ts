// Two minutes of chaos with a fixed seed. The kernel's timing is another each time: what a failure prints repeats the
// faults and their order.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runChaos } from '../chaos/chaos.ts';

const seed = 20_261_121;
const minutes = 2;

test(`seed ${seed}: whatever breaks, no byte is lost, leaked or left behind`, { timeout: 600_000 }, async (context) => {
  const result = await runChaos(seed, minutes * 60, () => undefined);
  const again = `npm run chaos -- --seed ${seed} --minutes ${minutes}`;
  if (result.failures.length > 0) for (const line of result.timeline) context.diagnostic(line);
  assert.deepEqual(result.failures, [], `repeat it with: ${again}`);
  assert(result.episodes > 0);
});

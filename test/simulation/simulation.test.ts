// Ten thousand random lives of a tunnel in simulated time, and faults on purpose that must be noticed.
//
// SEED=n runs one seed and prints its trace; SEEDS=n runs so many; FROM=n begins elsewhere.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { mutants } from './mutants.ts';
import { describeFailure, runSeed } from './run-seed.ts';

const seeds = Number(process.env['SEEDS'] ?? 10_000);
const from = Number(process.env['FROM'] ?? 0);
const single = process.env['SEED'];
/** Seeds in which a fault has to show. */
const mutantSeeds = 400;

describe('simulation of the tunnel', () => {
  if (single !== undefined) {
    it(`seed ${single}`, () => {
      const lines: string[] = [];
      const { failure } = runSeed(Number(single), (line) => lines.push(line));
      console.log(lines.join('\n'));
      if (failure !== null) assert.fail(describeFailure(failure));
    });
    return;
  }

  it(`${seeds} seeds break no rule`, { timeout: 240_000 }, async () => {
    let [calm, bytes, steps] = [0, 0, 0];
    for (let seed = from; seed < from + seeds; seed++) {
      // The runner wants to hear of this file now and then.
      if (seed % 100 === 0) await turn();
      const result = runSeed(seed);
      if (result.failure !== null) assert.fail(describeFailure(result.failure));
      if (result.isCalm) calm++;
      bytes += result.bytes;
      steps += result.steps;
    }
    assert.ok(calm > seeds / 3 && calm < seeds, `${calm} calm seeds`);
    assert.ok(bytes > seeds * 1000 && steps > seeds * 50, `${bytes} bytes in ${steps} steps`);
  });

  it('runs a seed the same way each time', () => {
    for (const seed of [1, 2, 3, 50, 99]) {
      const traces = [0, 1].map(() => {
        const lines: string[] = [];
        runSeed(seed, (line) => lines.push(line));
        return lines.join('\n');
      });
      assert.ok(traces[0]!.length > 100);
      assert.equal(traces[0], traces[1]);
    }
  });

  it('leaves the timers of the process alone', () => {
    const before = [setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, process.nextTick];
    runSeed(1);
    const after = [setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, process.nextTick];
    assert.ok(before.every((each, at) => each === after[at]));
  });
});

describe('the simulation notices that', () => {
  for (const { what, rules, sabotage } of mutants) {
    it(what, () => {
      const broken = new Set<string>();
      for (let seed = 0; seed < mutantSeeds; seed++) {
        const { failure } = runSeed(seed, null, sabotage());
        if (failure === null) continue;
        broken.add(failure.rule);
        if (!rules.some((rule) => rule === failure.rule)) continue;
        const words = describeFailure(failure, sabotage());
        assert.match(words, new RegExp(`^seed ${seed} at .*SEED=${seed} npm test -- simulation$`, 's'));
        return;
      }
      assert.fail(`in ${mutantSeeds} seeds nothing of ${rules.join(', ')} was broken, only: ${[...broken].join(', ')}`);
    });
  }
});

// Every target for a moment, with its kept corpus; and the fuzzer itself, against targets that are broken on purpose.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Random } from '../support/random.ts';
import { shrink } from './engine.ts';
import { mutate } from './mutate.ts';
import { targets } from './targets.ts';
import { targets as brokenTargets } from './testing-targets.ts';
import { fuzzWatched } from './watched.ts';

const quickInputs = 20_000;
const seed = 4;

describe('fuzz', () => {
  for (const target of targets) {
    it(`${target.name} survives what it is given`, { timeout: 120_000 }, async () => {
      const { findings, runs } = await fuzzWatched(target, target.quickInputs ?? quickInputs, seed);
      const [first] = findings;
      if (first !== undefined) {
        assert.fail(`${first.kind}: ${first.what}\ninput ${first.input.toString('base64')} (base64)
to repeat: npm run fuzz -- ${target.name} --seed ${seed} --inputs ${target.quickInputs ?? quickInputs}`);
      }
      assert.ok(runs >= target.seeds.length);
    });
  }
});

describe('the fuzzer', () => {
  const planted = (name: string, inputs: number) =>
    fuzzWatched(brokenTargets.find((target) => target.name === name)!, inputs, seed, {
      module: './testing-targets.ts',
      hangMs: 1500,
    });

  it('finds a crash and makes its input small', async () => {
    const { findings } = await planted('crashes', 2000);
    assert.deepEqual([findings[0]?.kind, findings[0]?.input.toString()], ['crash', '']);
    assert.match(findings[0]!.what, /no eg/);
  });

  it('finds an input that never ends', async () => {
    const { findings } = await planted('hangs', 20_000);
    assert.equal(findings[0]?.kind, 'slow');
    assert.equal(findings[0]!.input[0], 0x65);
  });

  it('finds memory that is never given back', async () => {
    const { findings } = await planted('grows', 2000);
    assert.equal(findings[0]?.kind, 'growth');
  });

  it('finds nothing where nothing is wrong', async () => {
    const { findings, runs, outcomes } = await planted('holds', 5000);
    assert.deepEqual([findings, runs, outcomes], [[], 5000, 8]);
  });

  it('makes the same inputs from the same seed', () => {
    const [target] = targets;
    const inputs = (from: number): string[] => {
      const random = new Random(from);
      const input = Buffer.from(target!.seeds[0]! as Buffer);
      return Array.from({ length: 50 }, () => mutate(target!, input, input, random).toString('hex'));
    };
    assert.deepEqual(inputs(7), inputs(7));
    assert.notDeepEqual(inputs(7), inputs(8));
  });

  it('shrinks to what matters', () => {
    const small = shrink(Buffer.from('aaaaaaaaXbbbbbbbbbbY'), (one) => one.includes('X') && one.includes('Y'));
    assert.equal(small.toString(), 'XY');
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { hashOf, startState, stateOf, viewNames, zoomMax, zoomMin } from './hash-state.ts';

const text = fc.string({ maxLength: 40, unit: 'grapheme' });
const shape = { noNullPrototype: true } as const;
const states = fc.record(
  {
    view: fc.constantFrom(...viewNames),
    selection: fc.option(
      fc.record(
        { kind: fc.constantFrom('node', 'edge', 'proxy'), id: fc.string({ minLength: 1, maxLength: 60 }) },
        shape,
      ),
    ),
    search: text,
    namespace: text,
    troubleOnly: fc.boolean(),
    camera: fc.option(
      fc.record(
        {
          x: fc.integer({ min: -99999, max: 99999 }).map((x) => x + 0),
          y: fc.integer({ min: -99999, max: 99999 }).map((y) => y + 0),
          zoom: fc.integer({ min: zoomMin * 1000, max: zoomMax * 1000 }).map((zoom) => zoom / 1000),
        },
        shape,
      ),
    ),
  },
  shape,
);

describe('the address of what is looked at', () => {
  it('reads back as what it was made of', () => {
    fc.assert(fc.property(states, (state) => assert.deepEqual(stateOf(hashOf(state)), state)));
  });

  it('takes anything', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (hash) => {
        stateOf(`#${hash}`);
        stateOf(`#/graph?${hash}`);
      }),
    );
  });

  it('is readable', () => {
    const state = { ...startState, selection: { kind: 'edge', id: 'shop/web>shop/cart' } as const, troubleOnly: true };
    assert.equal(hashOf(startState), '');
    assert.equal(hashOf(state), '#/graph?edge=shop/web>shop/cart&trouble=1');
    assert.deepEqual(stateOf('#/graph?at=1_2_99'), { ...startState, camera: { x: 1, y: 2, zoom: zoomMax } });
    assert.deepEqual(stateOf('#/elsewhere?q=%E0%A4%A'), startState);
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { bytesText, clockText, countText, durationText, percentText, plural, rateText, spanText } from './format.ts';

const plain = (text: string): string => text.replaceAll(' ', ' ');

describe('numbers of the page', () => {
  const rows: readonly (readonly [string, string])[] = [
    [rateText(0), '0/s'],
    [rateText(0.04), '0.04/s'],
    [rateText(0.4), '0.4/s'],
    [rateText(9.96), '10/s'],
    [rateText(12.4), '12/s'],
    [rateText(999.6), '1k/s'],
    [rateText(1234), '1.2k/s'],
    [countText(3_400_000), '3.4M'],
    [percentText(1), '100 %'],
    [percentText(0.99999), '99.9 %'],
    [percentText(0.998), '99.8 %'],
    [percentText(0.0002), '<0.1 %'],
    [percentText(0), '0 %'],
    [percentText(0.5), '50 %'],
    [percentText(0.289), '28.9 %'],
    [percentText(null), '–'],
    [durationText(0.44), '0.4 ms'],
    [durationText(14.4), '14 ms'],
    [durationText(0.04), '<0.1 ms'],
    [durationText(0), '0 ms'],
    [durationText(999.7), '1 s'],
    [durationText(1250), '1.25 s'],
    [durationText(150_000), '2.5 min'],
    [durationText(null), '–'],
    [bytesText(0), '0 B'],
    [bytesText(12_345), '12 kB'],
    [bytesText(3_420_000), '3.4 MB'],
    [spanText(12_300), '12 s'],
    [spanText(185_000), '3 min'],
    [spanText(7_300_000), '2 h'],
    [spanText(4 * 86_400_000), '4 d'],
    [plural(1, 'service'), '1 service'],
    [plural(0, 'service'), '0 services'],
  ];
  for (const [text, expected] of rows) it(expected, () => assert.equal(plain(text), expected));

  it('says 100 % and 0 % of nothing else', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, minExcluded: true, maxExcluded: true, noNaN: true }), (share) => {
        assert.ok(!['100 %', '0 %'].includes(plain(percentText(share))), String(share));
      }),
    );
  });

  it('tells the date of another day only', () => {
    const noon = new Date(2026, 4, 6, 12, 0, 0).getTime();
    assert.equal(clockText(noon - 1000, noon), '11:59:59');
    assert.equal(clockText(noon - 86_400_000, noon), '2026-05-05 12:00:00');
    assert.equal(clockText('nonsense', noon), '–');
  });
});

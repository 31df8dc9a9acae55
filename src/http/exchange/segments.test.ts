import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { StreamTiming, type TimingFigures } from '../../io/stream-timing.ts';
import { RequestTimes } from './segments.ts';

const line = { roundTripMs: 0, tell: (): void => undefined };
const nothing: TimingFigures = { proxyMs: 0, setUpMs: 0, openMs: 0, applicationMs: 0 };

function timingOf(figures: Partial<TimingFigures>, wireMs = 0, lateMs = 0, openedInMs = 0): StreamTiming {
  const timing = new StreamTiming(line, 1, openedInMs);
  timing.told({ ...nothing, ...figures }, wireMs, lateMs);
  return timing;
}

function sumOf(times: RequestTimes, nowMs: number): number {
  return Object.values(times.segments(nowMs)).reduce((sum: number, ms) => sum + (ms ?? 0), 0);
}

test('five figures, which add up to the whole', () => {
  const client = timingOf({ proxyMs: 1, setUpMs: 20, openMs: 4 }, 3);
  const endpoint = timingOf({ proxyMs: 2, applicationMs: 50 });
  const times = new RequestTimes(1000, client);
  times.sent({ startedAtMs: 1005, timing: endpoint, alone: true }, 1006);
  times.answered({ startedAtMs: 1005, timing: endpoint, alone: true }, 1064);
  const expected = { clientProxy: 21, wire: 7 + 6, waypoint: 6, destinationProxy: 2, application: 52 };
  assert.deepEqual(times.segments(1066), expected);
  assert.equal(times.wholeMs(1066), 28 + 66);
  assert.equal(sumOf(times, 1066), 28 + 66);
  assert.equal(
    times.serverTiming(),
    'client-proxy;dur=21.00, wire;dur=13.00, waypoint;dur=6.00, destination-proxy;dur=2.00, application;dur=50.00',
  );
  assert.equal(new RequestTimes(2000, client).segments(2000).clientProxy, 1, 'the set-up was the first request’s');
});

test('opening a tunnel is the wire, but for what its other end says of itself', () => {
  const endpoint = timingOf({ setUpMs: 30, applicationMs: 10 }, 0, 0, 40);
  const times = new RequestTimes(1000, null);
  times.sent({ startedAtMs: 1005, timing: endpoint, alone: true }, 1046);
  times.answered({ startedAtMs: 1005, timing: endpoint, alone: true }, 1060);
  const expected = { clientProxy: null, wire: 4 + 10, waypoint: 6, destinationProxy: 30, application: 10 };
  assert.deepEqual(times.segments(1060), expected);
  const next = new RequestTimes(1100, null);
  next.sent({ startedAtMs: 1100, timing: endpoint, alone: true }, 1100);
  next.answered({ startedAtMs: 1100, timing: endpoint, alone: true }, 1112);
  assert.deepEqual([next.segments(1112).destinationProxy, next.segments(1112).wire], [0, 2]);
});

test('of requests that share a stream the wire takes as long as a round trip, the application the rest', () => {
  const endpoint = timingOf({ proxyMs: 1, applicationMs: 900 });
  Object.defineProperty(endpoint, 'roundTripMs', { value: 4 });
  const times = new RequestTimes(1000, null);
  times.sent({ startedAtMs: 1000, timing: endpoint, alone: false }, 1000);
  times.answered({ startedAtMs: 1000, timing: endpoint, alone: false }, 1025);
  const expected = { clientProxy: null, wire: 4, waypoint: 0, destinationProxy: 1, application: 20 };
  assert.deepEqual(times.segments(1025), expected);
});

test('what waited for a late waypoint is its own', () => {
  const endpoint = timingOf({ applicationMs: 10 }, 30, 30);
  const times = new RequestTimes(1000, timingOf({}, 100, 80));
  times.sent({ startedAtMs: 1000, timing: endpoint, alone: true }, 1000);
  times.answered({ startedAtMs: 1000, timing: endpoint, alone: true }, 1045);
  const expected = { clientProxy: 0, wire: 20 + 5, waypoint: 80 + 30, destinationProxy: 0, application: 10 };
  assert.deepEqual(times.segments(1045), expected);
  assert.equal(times.wholeMs(1045), 145);
});

test('what nobody tells is the application’s; what reached none is the waypoint’s', () => {
  const outside = new RequestTimes(1000, null);
  outside.sent({ startedAtMs: 1001, timing: null, alone: true }, 1002);
  outside.answered({ startedAtMs: 1001, timing: null, alone: true }, 1012);
  const expected = { clientProxy: null, wire: null, waypoint: 2, destinationProxy: null, application: 11 };
  assert.deepEqual(outside.segments(1013), expected);
  const refused = new RequestTimes(1000, timingOf({ proxyMs: 1 }, 2));
  const own = { clientProxy: 1, wire: 2, waypoint: 5, destinationProxy: null, application: null };
  assert.deepEqual(refused.segments(1005), own);
  const timedOut = new RequestTimes(1000, null);
  timedOut.sent({ startedAtMs: 1000, timing: timingOf({}), alone: true }, 1001);
  assert.equal(timedOut.segments(1101).application, 100);
});

test('whatever the proxies say, no figure is negative and all add up', () => {
  const ms = fc.double({ min: 0, max: 1000, noNaN: true });
  const end = fc.option(fc.tuple(ms, ms, ms, ms, ms, ms, ms), { nil: null });
  type Said = [number, number, number, number, number, number, number];
  const made = (said: Said | null): StreamTiming | null => {
    if (said === null) return null;
    const [proxyMs, setUpMs, openMs, applicationMs, wireMs, lateMs, openedInMs] = said;
    return timingOf({ proxyMs, setUpMs, openMs, applicationMs }, wireMs, lateMs, openedInMs);
  };
  fc.assert(
    fc.property(end, end, fc.tuple(ms, ms, ms, ms, ms), fc.boolean(), (client, endpoint, steps, alone) => {
      const times = new RequestTimes(1000, made(client));
      const [begun, sent, asked, answered, whole] = steps;
      const attempt = { startedAtMs: 1000 + begun, timing: made(endpoint), alone };
      times.sent(attempt, attempt.startedAtMs + sent);
      times.askedAtMs += asked;
      times.answered(attempt, times.askedAtMs + answered);
      const nowMs = times.headAtMs + whole;
      for (const figure of Object.values(times.segments(nowMs))) assert.ok(figure === null || figure >= 0);
      assert.ok(Math.abs(sumOf(times, nowMs) - times.wholeMs(nowMs)) < 0.01);
    }),
  );
});

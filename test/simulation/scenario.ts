// What happens in the run of one seed: settings, link, applications, and what goes wrong and when.
import { SettingId } from '../../src/h2/constants.ts';
import type { SessionOptions } from '../../src/h2/session-options.ts';
import type { LocalSettings } from '../../src/h2/settings.ts';
import type { Random } from '../support/random.ts';
import type { ExchangePlan } from './exchange.ts';
import type { CutKind, LinkOptions } from './link.ts';
import type { SidePlan } from './side.ts';

/** What is done to a whole session. */
export interface SessionEvent {
  readonly atMs: number;
  readonly side: 'client' | 'server';
  readonly what: 'drain' | 'close' | 'destroy';
}

/** A second SETTINGS frame, as a peer may send it at any time; ours never does. */
export interface SettingsChange {
  readonly atMs: number;
  readonly side: 'client' | 'server';
  /** Identifiers and values. */
  readonly pairs: readonly (readonly [id: number, value: number])[];
}

export interface Scenario {
  /** Nothing is broken on purpose: every stream must end well. */
  readonly isCalm: boolean;
  readonly client: Partial<SessionOptions>;
  readonly server: Partial<SessionOptions>;
  readonly link: LinkOptions;
  readonly exchanges: readonly { readonly plan: ExchangePlan; readonly client: SidePlan; readonly server: SidePlan }[];
  readonly events: readonly SessionEvent[];
  readonly changes: readonly SettingsChange[];
  /** How the session ends when all streams have. */
  readonly ending: { readonly side: 'client' | 'server'; readonly what: 'drain' | 'close' };
}

const windows = [1, 7, 100, 1000, 16_384, 65_535, 100_000, 300_000];
const capacities = [1, 500, 20_000, 1_000_000];
const pieces = [1, 9, 60, 1400, 16_384, 100_000];
/** A seed's run has so many deliveries, or so; more seeds find more than longer ones. */
const deliveriesMax = 300;

/** The scenario of a seed, whose `random` is at its beginning. */
export function makeScenario(random: Random): Scenario {
  const isCalm = random.oneIn(2);
  const pieceMax = random.pick(pieces);
  const link: LinkOptions = {
    pieceMax,
    // So that the handshake has its time, however small the pieces.
    delayMaxMs: random.pick([0, 1, 20, pieceMax < 100 ? 20 : 100]),
    capacityBytes: random.pick(capacities),
    retains: random.oneIn(2),
    destroyLoses: random.oneIn(2),
    cut: isCalm || !random.oneIn(2) ? null : makeCut(random, pieceMax),
  };
  const settings = { client: makeSettings(random), server: makeSettings(random) };
  const bytesMax = pieceMax * deliveriesMax;
  const count = random.size(pieceMax < 100 ? 4 : 12);
  const span = random.pick([0, 5, 100, 2000]);
  return {
    isCalm,
    client: { settings: settings.client, ...makeOptions(random), streamsLimit: random.pick([1, 3, 100]) },
    server: { settings: settings.server, ...makeOptions(random) },
    link,
    exchanges: Array.from({ length: count }, () => ({
      plan: makePlan(random, isCalm, span),
      ...makeSides(random, isCalm, bytesMax / count, settings),
    })),
    events: makeEvents(random, isCalm, span),
    changes: random.oneIn(2) ? makeChanges(random, settings, span) : [],
    ending: { side: random.pick(['client', 'server']), what: random.pick(['drain', 'close']) },
  };
}

function makeCut(random: Random, pieceMax: number): { afterBytes: number; kind: CutKind } {
  const kinds: readonly CutKind[] = ['reset', 'end', 'silence'];
  return { afterBytes: random.size(random.pick([100, 2000, pieceMax * 40]), 0), kind: random.pick(kinds) };
}

function makeSettings(random: Random): Partial<LocalSettings> {
  return {
    maxConcurrentStreams: random.pick([1, 2, 5, 100]),
    streamWindowBytes: random.pick(windows),
    connectionWindowBytes: random.pick([65_535, 65_536, 100_000, 1_000_000]),
    maxFrameBytes: random.pick([16_384, 20_000, 262_144]),
    headerTableBytes: random.pick([0, 64, 4096]),
    maxHeaderListBytes: 16_384,
  };
}

function makeOptions(random: Random): Partial<SessionOptions> {
  return {
    limits: { highWaterMarkBytes: random.pick([1, 1000, 65_536]) },
    pingIntervalMs: random.pick([500, 3000, 10_000]),
    pingTimeoutMs: 20_000,
  };
}

function makePlan(random: Random, isCalm: boolean, span: number): ExchangePlan {
  return {
    atMs: random.below(span + 1),
    isEager: random.oneIn(4),
    answerMs: random.oneIn(2) ? 0 : random.below(200),
    isRejected: !isCalm && random.oneIn(8),
    giveUpMs: isCalm || !random.oneIn(8) ? -1 : random.below(200),
  };
}

function makeSides(
  random: Random,
  isCalm: boolean,
  bytesMax: number,
  settings: { readonly client: Partial<LocalSettings>; readonly server: Partial<LocalSettings> },
): { client: SidePlan; server: SidePlan } {
  const client = makeSide(random, isCalm, Math.min(bytesMax, bytesWorth(random, settings.server.streamWindowBytes!)));
  const server = makeSide(random, isCalm, Math.min(bytesMax, bytesWorth(random, settings.client.streamWindowBytes!)));
  // If both wait for the other's end, neither comes.
  const bothWait = client.after === 'echo-end' && server.after === 'echo-end';
  return { client, server: bothWait ? { ...server, after: 'end' } : server };
}

/** Several windows; the default window counts too, before the peer's own is known. */
function bytesWorth(random: Random, windowBytes: number): number {
  if (windowBytes < 100) return windowBytes * 20;
  return random.oneIn(10) ? 65_535 + windowBytes : windowBytes * 4;
}

function makeSide(random: Random, isCalm: boolean, bytesMax: number): SidePlan {
  const bytes = random.oneIn(5) ? 0 : random.size(Math.max(1, Math.floor(bytesMax)));
  const afters = ['end', 'end', 'echo-end', isCalm ? 'end' : 'reset', isCalm ? 'end' : 'destroy'] as const;
  return {
    bytes,
    chunkMax: Math.max(1, Math.ceil(bytes / random.pick([1, 4, 20]))) % 65_521 || 1,
    pauseMs: random.oneIn(2) ? 0 : random.pick([1, 30, 300]),
    after: random.pick(afters),
    abortAtBytes: isCalm || !random.oneIn(8) ? -1 : random.below(bytesMax + 1),
    stallOneIn: random.pick([0, 0, 1, 5]),
    stallMs: random.pick([0, 10, 500]),
  };
}

function makeEvents(random: Random, isCalm: boolean, span: number): SessionEvent[] {
  if (!random.oneIn(3)) return [];
  const kinds = isCalm ? (['drain'] as const) : (['drain', 'drain', 'close', 'destroy'] as const);
  const event = (): SessionEvent => ({
    atMs: random.below(span * 2 + 20),
    side: random.pick(['client', 'server']),
    what: random.pick(kinds),
  });
  return Array.from({ length: random.between(1, 2) }, event);
}

/**
 * The side that seems to change its settings knows nothing of it and enforces its old ones: no change may allow more.
 * It gives credit back in halves of its window, so that a window below half of it would never move.
 */
function makeChanges(
  random: Random,
  settings: { readonly client: Partial<LocalSettings>; readonly server: Partial<LocalSettings> },
  span: number,
): SettingsChange[] {
  return Array.from({ length: random.between(1, 4) }, () => {
    const side = random.pick(['client', 'server'] as const);
    const own = settings[side];
    const windowBytes = own.streamWindowBytes!;
    return {
      atMs: random.below(span * 2 + 100),
      side,
      pairs: [
        [SettingId.InitialWindowSize, random.between(Math.ceil(windowBytes / 2), windowBytes)],
        [SettingId.MaxFrameSize, random.between(16_384, own.maxFrameBytes!)],
        [SettingId.MaxConcurrentStreams, random.between(1, own.maxConcurrentStreams!)],
        [SettingId.HeaderTableSize, random.pick([0, 64, 4096])],
      ],
    };
  });
}

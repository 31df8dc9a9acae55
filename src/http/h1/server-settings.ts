// What all server connections with the same options share: limits, the parser, and the lists of their deadlines.
import { DeadlineLists, type Deadlines } from '../../io/deadlines.ts';
import { HeadParser } from './head-parser.ts';
import { defaultH1Limits, type H1Limits, type H1ServerOptions, oncePerOptions } from './limits.ts';

const defaults = {
  idleTimeoutMs: 600_000,
  drainIdleMs: 1000,
  headTimeoutMs: 30_000,
  lingerMs: 2000,
  drainBodyBytesMax: 64 * 1024,
};

const deadlines = new DeadlineLists();

/** Made once for each options object, by `settingsOf`. */
export class ServerSettings {
  readonly limits: H1Limits;
  readonly parser: HeadParser;
  readonly idle: Deadlines;
  readonly drain: Deadlines;
  readonly head: Deadlines;
  readonly linger: Deadlines;
  readonly drainBodyBytesMax: number;

  constructor(options: H1ServerOptions) {
    this.limits = { ...defaultH1Limits, ...options.limits };
    this.parser = new HeadParser(this.limits, true);
    this.idle = deadlines.of(options.idleTimeoutMs ?? defaults.idleTimeoutMs);
    this.drain = deadlines.of(options.drainIdleMs ?? defaults.drainIdleMs);
    this.head = deadlines.of(options.headTimeoutMs ?? defaults.headTimeoutMs);
    this.linger = deadlines.of(options.lingerMs ?? defaults.lingerMs);
    this.drainBodyBytesMax = options.drainBodyBytesMax ?? defaults.drainBodyBytesMax;
  }
}

/** The settings of connections with these options. */
export const settingsOf = oncePerOptions((options: H1ServerOptions) => new ServerSettings(options));

// The run of one seed: two sessions over a simulated link in a simulated loop, with the rules checked throughout.
import { H2Session } from '../../src/h2/session.ts';
import type { SessionEvents, SessionOptions } from '../../src/h2/session-options.ts';
import { Random } from '../support/random.ts';
import { Exchange } from './exchange.ts';
import { Link, type Tamper } from './link.ts';
import { BrokenRule, check, type Rule, ruleWords } from './rules.ts';
import { makeScenario, type Scenario } from './scenario.ts';
import { Side } from './side.ts';
import { SimulatedLoop } from './simulated-loop.ts';
import { WireModel } from './wire-model.ts';

/** Breaks something on purpose, so that tests can see the rules at work. */
export interface Sabotage {
  readonly tamper?: Tamper;
  /** Called with both sessions before they start. */
  readonly sessions?: (client: H2Session, server: H2Session) => void;
  readonly options?: Partial<SessionOptions>;
}

export interface SeedFailure {
  readonly seed: number;
  readonly rule: Rule | 'crash';
  readonly message: string;
  readonly atMs: number;
}

export interface SeedResult {
  readonly failure: SeedFailure | null;
  readonly steps: number;
  /** Simulated time that passed. */
  readonly tookMs: number;
  readonly bytes: number;
  readonly isCalm: boolean;
}

/** Far more than any scenario needs: what is not over by then never will be. */
const progressMs = 900_000;
const stepsMax = 200_000;
/** Linger, drain notice, keepalive and its timeout, with time to spare. */
const endingMs = 120_000;

/** Runs `seed`; `trace` gets a line for everything that happens. */
export function runSeed(
  seed: number,
  trace: ((line: string) => void) | null = null,
  sabotage: Sabotage = {},
): SeedResult {
  const run = new SeedRun(seed, trace, sabotage);
  let failure: SeedFailure | null = null;
  run.loop.install();
  try {
    sabotage.sessions?.(run.client, run.server);
    run.run();
  } catch (error) {
    const rule = error instanceof BrokenRule ? error.rule : 'crash';
    const message = error instanceof BrokenRule ? error.message : String((error as Error).stack);
    failure = { seed, rule, message, atMs: run.loop.nowMs };
  } finally {
    run.loop.uninstall();
  }
  const { loop, scenario } = run;
  return { failure, steps: loop.steps, tookMs: loop.nowMs, bytes: run.bytes, isCalm: scenario.isCalm };
}

/** What to print for a failed seed: the rule, the trace's end, and the command that repeats it. */
export function describeFailure(failure: SeedFailure, sabotage: Sabotage = {}): string {
  const lines: string[] = [];
  runSeed(failure.seed, (line) => lines.push(line), sabotage);
  const rule = failure.rule === 'crash' ? 'the code threw' : `broken rule: ${ruleWords[failure.rule]}`;
  return [
    `seed ${failure.seed} at ${failure.atMs.toFixed(1)} ms: ${rule}`,
    failure.message,
    ...lines.slice(0, 1),
    lines.length > 80 ? `… ${lines.length - 80} lines` : '',
    ...lines.slice(1).slice(-79),
    `to repeat: SEED=${failure.seed} npm test -- simulation`,
  ].join('\n  ');
}

class SeedRun {
  readonly loop: SimulatedLoop;
  readonly scenario: Scenario;
  readonly #random: Random;
  readonly #trace: ((text: string) => void) | null;
  readonly #link: Link;
  readonly client: H2Session;
  readonly server: H2Session;
  readonly #exchanges: Exchange[];
  readonly #closes = { client: 0, server: 0 };
  /** Somebody ended a session on purpose, or the link was cut: streams may have been lost. */
  #isBroken = false;
  readonly #waiting: Exchange[] = [];

  constructor(seed: number, trace: ((line: string) => void) | null, sabotage: Sabotage) {
    this.#random = new Random(seed);
    this.loop = new SimulatedLoop(this.#random);
    this.#trace = trace === null ? null : (text) => trace(`${this.loop.nowMs.toFixed(1).padStart(9)} ms  ${text}`);
    this.scenario = makeScenario(this.#random);
    this.#trace?.(JSON.stringify({ ...this.scenario, exchanges: this.scenario.exchanges.length }));
    const models = [new WireModel(true, this.#trace), new WireModel(false, this.#trace)];
    this.#link = new Link(this.loop, this.#random, this.scenario.link, models, sabotage.tamper ?? null);
    this.client = this.#makeSession('client', sabotage.options ?? {});
    this.server = this.#makeSession('server', sabotage.options ?? {});
    this.#exchanges = this.scenario.exchanges.map(({ plan, client, server }, at) => {
      const side = (who: string, its: typeof client): Side =>
        new Side(`${who} ${at}`, its, this.loop, this.#random, this.#trace);
      return new Exchange(side('client', client), side('server', server), plan, this.loop, this.#random);
    });
  }

  get bytes(): number {
    return this.#exchanges.reduce((sum, { client, server }) => sum + client.read + server.read, 0);
  }

  run(): void {
    this.server.start();
    this.client.start();
    for (const exchange of this.#exchanges) this.loop.after(exchange.plan.atMs, () => this.#open(exchange));
    for (const { atMs, side, what } of this.scenario.events) this.loop.after(atMs, () => this.#endSession(side, what));
    for (const { atMs, side, pairs } of this.scenario.changes) {
      this.loop.after(atMs, () => this.#link[side].inject(pairs));
    }
    this.#runUntil(
      () => this.#exchanges.every(({ isOver }) => isOver),
      progressMs,
      () => this.#stuckWords(),
    );
    this.#checkStreams();
    const { side, what } = this.scenario.ending;
    this.#endSession(side, what, true);
    const isGone = (): boolean => this.#closes.client + this.#closes.server >= 2 && this.#isLinkDone;
    this.#runUntil(isGone, endingMs, () => `the sessions closed ${JSON.stringify(this.#closes)}`);
    while (!this.loop.isIdle && this.loop.steps < stepsMax) this.loop.step();
    this.#checkNothingLeft();
  }

  get #isLinkDone(): boolean {
    return this.#link.client.closed && this.#link.server.closed;
  }

  #makeSession(role: 'client' | 'server', more: Partial<SessionOptions>): H2Session {
    const events: SessionEvents = {
      onStream: (stream, headers) => {
        check(role === 'server' && this.#closes.server === 0, 'close', 'a stream after the close of its session');
        this.#exchanges[Number(headers[headers.indexOf(':authority') + 1])]!.serve(stream);
      },
      onReady: () => check(this.#closes[role] === 0, 'close', `the ${role} is ready after its close`),
      onCapacity: () => {
        check(this.#closes[role] === 0, 'close', `the ${role} has capacity after its close`);
        if (role === 'client') this.#openWaiting();
      },
      onRetired: () => check(this.#closes[role] === 0, 'close', `the ${role} retires after its close`),
      onClose: (error) => {
        this.#trace?.(`${role} session is closed: ${error?.message ?? 'well'}`);
        check(++this.#closes[role] === 1, 'close', `the ${role} session is closed twice`);
        if (role === 'client') for (const exchange of this.#waiting.splice(0)) exchange.isDropped = true;
      },
    };
    const session = new H2Session({
      role,
      transport: role === 'client' ? this.#link.client : this.#link.server,
      peer: 'simulated',
      events,
      ...this.scenario[role],
      ...more,
    });
    return session;
  }

  #open(exchange: Exchange): void {
    if (exchange.isOpen || exchange.isDropped) return;
    const at = this.#exchanges.indexOf(exchange);
    if (exchange.open(this.client, String(at))) this.#trace?.(`client ${at} opens`);
    else if (this.client.retired) exchange.isDropped = true;
    else this.#waiting.push(exchange);
  }

  #openWaiting(): void {
    // Not from inside the session: a pool does this in a turn of its own too.
    this.loop.soon(() => {
      for (const exchange of this.#waiting.splice(0)) this.#open(exchange);
    });
  }

  #endSession(side: 'client' | 'server', what: 'drain' | 'close' | 'destroy', isLast = false): void {
    const session = side === 'client' ? this.client : this.server;
    this.#trace?.(`${side}: ${what}`);
    if (!isLast && what !== 'drain') this.#isBroken = true;
    session[what]();
    // Whoever waits for room on a session that drains has to go elsewhere.
    for (const exchange of this.client.retired ? this.#waiting.splice(0) : []) exchange.isDropped = true;
  }

  #runUntil(isDone: () => boolean, withinMs: number, words: () => string): void {
    const endMs = this.loop.nowMs + withinMs;
    let turns = 0;
    while (!isDone()) {
      const isMoving = this.loop.step() && this.loop.nowMs < endMs && this.loop.steps < stepsMax;
      check(isMoving || isDone(), 'progress', () => `${words()} after ${turns} turns`);
      turns++;
      if (this.client.retired && this.#waiting.length > 0) {
        for (const exchange of this.#waiting.splice(0)) exchange.isDropped = true;
      }
    }
  }

  #stuckWords(): string {
    return this.#exchanges
      .filter(({ isOver }) => !isOver)
      .map(({ client, server }) => `${words(client)}, ${words(server)}`)
      .join('; ');
  }

  /** All streams are over: whether each ended as it should have. */
  #checkStreams(): void {
    const mayBreak = this.#isBroken || this.#link.isCut;
    for (const exchange of this.#exchanges) {
      if (!exchange.isOpen || exchange.failure?.retryable === true) continue;
      const { client, server } = exchange;
      const isDisturbed = client.aborted || server.aborted || server.rejected || mayBreak;
      if (isDisturbed) continue;
      check(exchange.failure === null, 'clean', () => `${client.name} failed: ${exchange.failure?.error.message}`);
      for (const side of [client, server]) {
        check(side.closed?.error === null, 'clean', () => `${words(side)}: ${side.closed?.error?.message}`);
        check(side.endSeen && side.ended, 'clean', () => `${words(side)} without both ends`);
        check(side.read === side.other!.plan.bytes, 'clean', () => `${words(side)} of ${side.other!.plan.bytes}`);
      }
    }
    if (mayBreak) return;
    for (const { client, server } of this.#exchanges) {
      for (const side of [client, server]) {
        // Who has sent everything and wants nothing more is no danger to what it sent: an error, but no reset.
        const wasTold = side.closed?.error == null || side.closed.wasReset || side.endSeen;
        check(wasTold, 'abort', () => `${words(side)}: an error that is no reset, while the session lives`);
      }
    }
  }

  #checkNothingLeft(): void {
    check(this.loop.isIdle, 'left', 'the loop does not come to rest');
    check(this.loop.timers === 0, 'left', () => `${this.loop.timers} timers`);
    for (const session of [this.client, this.server]) {
      const { streamCount, bufferedBytes, over } = session;
      check(over && streamCount === 0, 'left', () => `${streamCount} streams`);
      check(bufferedBytes === 0, 'left', () => `${bufferedBytes} bytes in the outbox`);
    }
    check(this.#closes.client === 1 && this.#closes.server === 1, 'close', 'a session without onClose');
  }
}

function words(side: Side): string {
  const ends = `${side.ended ? 'ended' : ''}${side.aborted ? 'aborted' : ''}${side.endSeen ? ' end seen' : ''}`;
  return `${side.name} wrote ${side.written} of ${side.plan.bytes}, read ${side.read} ${ends}`;
}

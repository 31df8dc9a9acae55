// One request of a client, from its head to the last byte of its answer: the state that its steps share, its tries, and
// the streaming in both directions. Steps decide (`steps.ts`), attempts send (`attempt.ts`), `outcome.ts` says what the
// client is told when there is no answer to pass on.
//
//   deciding ──forward──▶ trying ──answer──▶ answering ──▶ over
//        └──────────── answered by the waypoint itself ────▲
import { MeshError } from '../../base/errors.ts';
import type { Flag } from '../../base/flags.ts';
import { Took } from '../../io/byte-stream.ts';
import type { StreamTiming } from '../../io/stream-timing.ts';
import type { Endpoint } from '../balance/endpoint.ts';
import { grpcStatusOf, grpcTrailers } from '../grpc.ts';
import type {
  ComposedRequest,
  Headers,
  HttpProtocol,
  IncomingRequest,
  OutgoingRequest,
  RequestHandler,
  ResponseHead,
  Trailers,
} from '../message.ts';
import type { AdaptiveConcurrency } from '../resilience/adaptive-concurrency.ts';
import { httpStatusOfGrpc } from '../resilience/grpc-status.ts';
import type { LocalFailure } from '../resilience/outliers.ts';
import { retryAfterMaxMs } from '../resilience/retry-after.ts';
import { backoffMs, type FailedTry, isUntouched, type RetryVerdict, retryRulesOf } from '../resilience/retry-rules.ts';
import { misfit } from '../upgrade.ts';
import { Attempt, type AttemptOwner } from './attempt.ts';
import type { ClientInfo, Verdict } from './context.ts';
import type { Engine } from './engine.ts';
import { ExchangeState } from './exchange-state.ts';
import { ExchangeTimers, type TimerKind, type TimerOwner } from './exchange-timers.ts';
import {
  answeredTry,
  failedTry,
  failureAnswer,
  flagOfVerdict,
  localFailureOf,
  tryEndOf,
  unprocessedHeader,
} from './outcome.ts';
import { recordOf } from './record.ts';
import { RequestBody } from './request-body.ts';
import { steps } from './steps.ts';
import { requestTimeoutMs, tryTimeoutMs } from './timeouts.ts';

type Pairs = readonly (readonly [name: string, value: string])[];
type State = 'deciding' | 'trying' | 'answering' | 'over';

/** A request in progress. */
export class Exchange extends ExchangeState implements RequestHandler, AttemptOwner, TimerOwner {
  #state: State = 'deciding';
  #step = 0;
  #started = false;
  /** Null for a request without a body. */
  readonly #body: RequestBody | null;
  #attempt: Attempt | null = null;
  #tried: Endpoint[] | null = null;
  #next: Endpoint | null = null;
  /** An endpoint that was tried is not asked again before. */
  #quietUntilMs = 0;
  #tryBegins = false;
  #retrying = false;
  #everyTryUntouched = true;
  #reported = true;
  #informed100 = false;
  #upgraded = false;
  #requestMs = 0;
  #answerEnded = false;
  #admittedTo: AdaptiveConcurrency | null = null;
  #admitted = false;
  readonly #timers: ExchangeTimers;

  constructor(engine: Engine, client: ClientInfo, request: IncomingRequest, timing: StreamTiming | null) {
    super(engine, client, request, timing);
    this.#timers = new ExchangeTimers(this, engine.deadlines);
    const isBodiless = this.head.contentLength === 0 && this.head.upgrade === null;
    this.#body = isBodiless ? null : new RequestBody(engine.limits.retryBodyBytes);
  }

  get over(): boolean {
    return this.#state === 'over';
  }

  /** Runs the steps until one waits or answers; a step that waits calls this again. */
  proceed(): void {
    try {
      while (this.#state === 'deciding' && this.#step < steps.length) {
        if (steps[this.#step++]!(this) === 'stop') return;
      }
    } catch (error) {
      // A fault of ours in one request must not end all others.
      this.#fail(MeshError.from(error));
    }
  }

  /** A step waits, `ms` if they are given, else until it calls `proceed` itself: the client may go meanwhile. */
  wait(ms = 0): void {
    this.#timers.set('delay', ms);
    this.#start();
  }

  /** The waypoint's own answer. */
  answer(status: number, headers: Pairs, body: string, flag: Flag, error: MeshError | null): void {
    if (this.#state === 'over' || this.#state === 'answering') return;
    this.#cancelAttempt();
    this.status = status;
    this.request.answer(status, headers, body);
    this.bytesSent += body.length;
    this.#finish(flag, error);
  }

  // ---- trying ----

  /** Everything is decided: the request goes to its destination. Called once, by the last step. */
  send(nowMs: number): void {
    const { destination } = this;
    const refused = destination!.admit();
    if (refused !== null) {
      const service = destination!.service.hostname;
      const value = destination!.inFlight;
      this.#fail(new MeshError('UPSTREAM_OVERFLOW', { limit: refused, value, service }));
      return;
    }
    this.#admitted = true;
    this.#admittedTo = destination!.concurrency;
    this.#state = 'trying';
    this.#timers.set('stream', this.rule!.timeouts.maxStreamMs);
    this.#requestMs = requestTimeoutMs(this.head, this.rule!.timeouts.requestMs);
    if (this.#isRequestWhole()) this.#timers.set('request', this.#requestMs);
    const endpoint = destination!.pick(this.hash, null, nowMs);
    if (endpoint === null) {
      this.#failWithoutEndpoint();
      return;
    }
    this.#try(endpoint, nowMs);
    this.#timers.watchIdle(this.#idleMs());
    this.#start();
  }

  #try(endpoint: Endpoint, nowMs: number): void {
    const { engine, destination } = this;
    this.attempts++;
    this.endpoint = endpoint;
    this.#reported = false;
    destination!.begin(endpoint);
    const pool = engine.poolOf(destination!, endpoint, this.upstreamProtocol);
    const attempt = new Attempt(this, pool, nowMs);
    this.trace?.beginTry(endpoint, nowMs);
    this.#attempt = attempt;
    if (this.#isRequestWhole()) this.#timers.set('try', tryTimeoutMs(this.rule!, this.#requestMs));
    this.#tryBegins = true;
    attempt.begin();
    this.#tryBegins = false;
  }

  compose(protocol: HttpProtocol): ComposedRequest {
    return this.engine.compose(protocol, this.head, this.changes!.numbered(this.attempts));
  }

  onSent(attempt: Attempt, outgoing: OutgoingRequest): void {
    // Without a wait in between, it is still the moment at which the try began.
    this.times.sent(attempt, this.#tryBegins ? attempt.startedAtMs : this.engine.nowMs());
    if (this.#body?.attach(outgoing) === true) this.request.resume();
  }

  onUnsent(attempt: Attempt): void {
    this.#body?.detach();
    if (this.#body?.replayable !== false) return;
    attempt.cancel();
    this.onTryFailed(attempt, new MeshError('CONNECTION_LOST', { reason: 'closed while idle' }), 'exchange', true);
  }

  onInform(_attempt: Attempt, status: number, headers: Headers): void {
    this.#timers.active = true;
    if (status === 100 && this.#informed100) return;
    this.#informed100 ||= status === 100;
    this.request.inform(status, headers);
  }

  onTryFailed(attempt: Attempt, error: MeshError, stage: 'connect' | 'exchange', unprocessed: boolean): void {
    if (attempt !== this.#attempt || this.#state === 'over') return;
    if (this.#state === 'answering') {
      this.#cut('RESET_BY_DESTINATION', error);
      return;
    }
    const end = tryEndOf(error, stage, unprocessed);
    this.trace?.failed(error);
    if (end !== 'overflow') this.#reportFailed(localFailureOf(end));
    const { bytesLeft } = attempt;
    const failed = this.#failedTry({ end, unprocessed: unprocessed || stage === 'connect', bytesLeft });
    const verdict = this.#retry(failed);
    if (verdict !== null) this.#fail(error, verdict);
  }

  #failedTry(what: Partial<FailedTry> & Pick<FailedTry, 'end'>): FailedTry {
    const replayable = this.#body?.replayable ?? true;
    return { ...failedTry, replayable, uncommitted: this.#state === 'trying', ...what };
  }

  /** Returns null when another try was begun or is planned, otherwise why there is none. */
  #retry(failed: FailedTry): RetryVerdict | null {
    const { engine, destination, rule } = this;
    const untouched = isUntouched(failed);
    this.#everyTryUntouched &&= untouched;
    const verdict = retryRulesOf(rule!.retry).decide(this.head, failed, this.attempts - 1);
    if (verdict === 'impossible' && !failed.replayable) engine.countLimit('retryBodyBytes');
    if (verdict !== 'retry') return verdict;
    const nowMs = engine.nowMs();
    this.#tried ??= [];
    this.#tried.push(this.#attempt!.endpoint);
    const next = destination!.pick(this.hash, this.#tried, nowMs);
    if (next === null) return 'impossible';
    this.#quietUntilMs = Math.max(this.#quietUntilMs, nowMs + failed.retryAfterMs);
    // Rounded: a sum less one of its parts is not always the other, and a second is just what is waited for at most.
    const quietMs = this.#tried.includes(next) ? Math.round(this.#quietUntilMs - nowMs) : 0;
    if (quietMs > retryAfterMaxMs) return 'impossible';
    // The place of the retry before is given back first: one request holds one.
    this.#endTry();
    if (destination!.beginRetry(next, untouched, nowMs) !== null) {
      engine.countRetryRefused(destination!.service);
      return 'refused';
    }
    engine.retries++;
    this.trace?.retried(failed, nowMs);
    this.#retrying = true;
    this.#body?.detach();
    this.#next = next;
    const waitMs = Math.max(backoffMs(rule!.retry, this.attempts, engine.random), quietMs);
    if (waitMs < 1) this.#tryNext();
    else this.#timers.set('backoff', waitMs);
    return null;
  }

  #tryNext(): void {
    const { destination } = this;
    const nowMs = this.engine.nowMs();
    const planned = this.#next!;
    this.#next = null;
    const isFit = !planned.gone && !planned.ejected;
    const endpoint = isFit ? planned : destination!.pick(this.hash, this.#tried, nowMs);
    if (endpoint !== null) this.#try(endpoint, nowMs);
    else this.#failWithoutEndpoint();
  }

  #failWithoutEndpoint(): void {
    const { service, port } = this.destination!;
    this.#fail(new MeshError('NO_ENDPOINT', { service: service.hostname, port }));
  }

  /** The try that runs counts no more, at its endpoint and in the retry budget. */
  #endTry(): void {
    const attempt = this.#attempt;
    if (attempt === null) return;
    this.#attempt = null;
    this.#timers.lift('try');
    this.destination!.end(attempt.endpoint);
    if (this.#retrying) {
      this.#retrying = false;
      this.destination!.endRetry();
    }
  }

  #cancelAttempt(): void {
    this.#attempt?.cancel();
    this.#endTry();
  }

  /** The answer has begun and does not go on. */
  #cut(flag: Flag, error: MeshError): void {
    this.#cancelAttempt();
    this.request.reset(error);
    this.#finish(flag, error);
  }

  /** No answer to pass on: the client is told why, as far as it concerns it. */
  #fail(error: MeshError, verdict: RetryVerdict | null = null): void {
    const { status, body, headers, flag } = failureAnswer(error, this.#everyTryUntouched, this.head.grpc);
    this.answer(status, headers, body, flagOfVerdict(verdict, this.attempts) ?? flag, error);
  }

  // ---- the answer ----

  onAnswer(attempt: Attempt, head: ResponseHead, endStream: boolean): void {
    const nowMs = this.engine.nowMs();
    this.#timers.active = true;
    this.times.answered(attempt, nowMs);
    const grpcText = this.head.grpc ? head.headers.get('grpc-status') : null;
    const grpcStatus = grpcText === null ? -1 : Number(grpcText);
    this.trace?.answered(head.status, grpcStatus);
    // A gRPC call's outcome is in its trailers, unless there is nothing but a head.
    if (!this.head.grpc || grpcStatus >= 0 || head.status !== 200) {
      this.#report(grpcStatus > 0 ? httpStatusOfGrpc(grpcStatus) : head.status, nowMs);
    }
    if ((head.status >= 400 || grpcStatus > 0) && this.#refuse(attempt, head, grpcStatus, endStream)) return;
    if (!this.#everyTryUntouched && head.status === 503) this.responseChanges.remove(unprocessedHeader);
    this.#everyTryUntouched = false;
    const unfit = misfit(this.head, head);
    if (unfit !== null) {
      this.#fail(unfit);
      return;
    }
    this.#state = 'answering';
    this.status = head.status;
    this.grpcStatus = grpcStatus;
    this.#timers.lift('try');
    this.#body?.forget();
    this.#upgraded = head.status === 101;
    // What lasts as long as its ends like is bounded by the idle time-out alone.
    if (this.#upgraded) this.#timers.lift('request');
    this.#answerEnded = endStream && !this.#upgraded;
    this.request.respond(head, this.responseChanges.merged(this.times), this.#answerEnded);
  }

  /** True when the answer is dropped and another try is made. */
  #refuse(attempt: Attempt, head: ResponseHead, grpcStatus: number, endStream: boolean): boolean {
    const verdict = this.#retry(this.#failedTry(answeredTry(head, grpcStatus)));
    if (verdict === null) {
      attempt.discard(head, endStream, this.#isBodySent());
      return true;
    }
    this.flag = flagOfVerdict(verdict, this.attempts) ?? this.flag;
    // The place of the try was given back, but its answer is what the client gets.
    if (this.#attempt === null) this.destination!.begin(attempt.endpoint);
    this.#attempt = attempt;
    return false;
  }

  onAnswerData(chunk: Buffer): number {
    this.#timers.active = true;
    this.bytesSent += chunk.length;
    this.responseMessages?.count(chunk);
    return this.request.write(chunk);
  }

  onAnswerEnd(_attempt: Attempt, trailers: Trailers): void {
    if (this.head.grpc) this.#takeGrpcStatus(trailers);
    if (!this.#answerEnded) this.request.end(trailers);
    this.#answerEnded = true;
    // Raw bytes: the other direction may go on.
    if (this.#upgraded && !this.#isBodySent()) return;
    // An answer that is whole before the request is: nobody waits for the rest of it.
    if (!this.#isBodySent()) this.#attempt?.outgoing?.cancel();
    this.#finish(this.flag, null);
  }

  onAnswerDrain(): void {
    this.request.resume();
  }

  /** Policy has changed and lets it in no longer: it ends, answered or not. */
  refuse(verdict: Verdict): void {
    const { decidedBy, status, body } = verdict;
    const error = new MeshError('POLICY_CHANGED', { policy: decidedBy ?? 'no policy allows it' });
    this.decidedBy = decidedBy;
    if (this.#state !== 'answering') this.answer(status, [], body, error.flag, error);
    else if (this.#answerEnded || !this.head.grpc) this.#cut(error.flag, error);
    else {
      // A caller of gRPC is told in the call's own words, which it does not take for a lost connection.
      this.#cancelAttempt();
      this.grpcStatus = grpcStatusOf(status);
      this.request.end(grpcTrailers(this.grpcStatus, body));
      this.#finish(error.flag, error);
    }
  }

  #takeGrpcStatus(trailers: Trailers): void {
    for (const [name, value] of trailers ?? []) if (name === 'grpc-status') this.grpcStatus = Number(value);
    this.#report(this.grpcStatus > 0 ? httpStatusOfGrpc(this.grpcStatus) : this.status, this.engine.nowMs());
  }

  #report(status: number, nowMs: number): void {
    const attempt = this.#attempt;
    if (this.#reported || attempt === null) return;
    this.#reported = true;
    if (this.uncounted) return;
    this.destination!.answered(attempt.endpoint, status, this.times.headAtMs - attempt.startedAtMs, nowMs);
  }

  #reportFailed(failure: LocalFailure): void {
    const attempt = this.#attempt;
    if (this.#reported || attempt === null) return;
    this.#reported = true;
    if (!this.uncounted) this.destination!.failed(attempt.endpoint, failure, this.engine.nowMs());
  }

  /** Time-outs count from here. What an upgrade sends later is no part of the request. */
  #isRequestWhole(): boolean {
    return this.#isBodySent() || this.head.upgrade !== null;
  }

  #isBodySent(): boolean {
    return this.#body?.ended !== false;
  }

  // ---- told by the client's side ----

  onData(chunk: Buffer): number {
    if (this.#state === 'over') return Took.All;
    this.#timers.active = true;
    this.bytesReceived += chunk.length;
    if (this.#state === 'trying') this.times.askedAtMs = this.engine.nowMs();
    this.requestMessages?.count(chunk);
    if (this.mirrors !== null) for (const mirror of this.mirrors) mirror.write(chunk);
    return this.#body?.onData(chunk) ?? Took.All;
  }

  onEnd(trailers: Trailers): void {
    if (this.#state === 'over' || this.#body === null) return;
    // Of an upgrade, what counts comes after the 101.
    if (this.head.upgrade !== null && !this.#upgraded) return;
    this.#body.onEnd(trailers);
    if (this.mirrors !== null) for (const mirror of this.mirrors) mirror.end(trailers);
    if (this.#upgraded && this.#answerEnded) this.#finish(this.flag, null);
    if (this.#state !== 'trying') return;
    this.#timers.set('request', this.#requestMs);
    this.#timers.set('try', tryTimeoutMs(this.rule!, this.#requestMs));
  }

  onDrain(): void {
    this.#timers.active = true;
    this.#attempt?.outgoing?.resume();
  }

  onAbort(error: MeshError, _wasReset: boolean): void {
    if (this.#state === 'over') return;
    this.#cancelAttempt();
    this.#finish('RESET_BY_SOURCE', error);
  }

  #start(): void {
    if (this.#started || this.#state === 'over') return;
    this.#started = true;
    this.#timers.watchIdle(this.#idleMs());
    this.request.start(this);
  }

  onTimer(kind: TimerKind): void {
    if (this.#state === 'over') return;
    if (kind === 'idle') this.#timedOut('IDLE_TIMEOUT', this.#idleMs());
    else if (kind === 'delay') this.proceed();
    else if (kind === 'backoff') this.#tryNext();
    else if (kind === 'request') this.#timedOut('REQUEST_TIMEOUT', this.#requestMs);
    else if (kind === 'stream') this.#timedOut('MAX_STREAM_TIME', this.rule!.timeouts.maxStreamMs);
    else this.#tryTimedOut();
  }

  #timedOut(code: 'REQUEST_TIMEOUT' | 'MAX_STREAM_TIME' | 'IDLE_TIMEOUT', timeoutMs: number): void {
    const error = new MeshError(code, { timeoutMs });
    if (this.#state === 'answering') {
      this.#cut(error.flag, error);
      return;
    }
    if (code === 'REQUEST_TIMEOUT') this.#reportFailed('timeout');
    this.#everyTryUntouched = false;
    this.#cancelAttempt();
    this.#fail(error);
  }

  #tryTimedOut(): void {
    const attempt = this.#attempt;
    if (attempt === null || this.#state !== 'trying') return;
    attempt.cancel();
    const error = new MeshError('TRY_TIMEOUT', { timeoutMs: tryTimeoutMs(this.rule!, this.#requestMs) });
    this.onTryFailed(attempt, error, 'exchange', false);
  }

  #idleMs(): number {
    return this.rule?.timeouts.idleMs || this.engine.limits.streamIdleMs;
  }

  // ---- the end ----

  #finish(flag: Flag, error: MeshError | null): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.flag = flag;
    this.error = error;
    this.#timers.close();
    this.#endTry();
    if (this.#retrying) this.destination!.endRetry();
    this.#retrying = false;
    if (this.#admitted) {
      this.destination!.release(this.#admittedTo, this.times.headLatencyMs);
    }
    if (this.mirrors !== null && !this.#isBodySent()) for (const mirror of this.mirrors) mirror.giveUp();
    recordOf(this);
    this.engine.finished(this);
  }
}

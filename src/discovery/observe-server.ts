// The controller's side of `observe.proto`: knows the proxies that attend, and asks them. What it gets is passed on as
// it comes, so that a large answer is never held as a whole.
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from '@connectrpc/connect';
import { MeshError } from '../base/errors.ts';
import type { SimpleResponse } from '../telemetry/metrics-server.ts';
import { AsyncQueue } from './async-queue.ts';
import {
  type ObserveAnswer,
  type ObserveQuestion,
  ObserveQuestionSchema,
  ProxyObserver,
} from './generated/observe_pb.ts';
import { type Attendant, type ProxyNode, proxyNodeOf } from './proxy-node.ts';

export interface ObserveServerOptions {
  /** As `DiscoveryServerOptions.authenticate`, and lets other replicas in. */
  readonly authenticate: (headers: Headers) => AttendantAdmission | Promise<AttendantAdmission>;
}

/** A proxy that can be asked. */
export interface ObservedProxy extends Observed {
  readonly node: ProxyNode;
}

/** Who can be asked. */
export interface Observed {
  readonly node: Attendant;
  /**
   * Asks `METHOD PATH?QUERY` of its admin port. Resolves with the first part of the answer; the rest comes in `stream`,
   * which throws when it breaks off. Rejects with NOT_REACHABLE when the proxy does not answer in 5 s or goes,
   * LIMIT_REACHED when too much is asked at once.
   */
  ask(question: string, signal?: AbortSignal): Promise<SimpleResponse>;
}

/** Who it is, of what it claims to be; throws for who may not attend. */
type AttendantAdmission = (claimed: Attendant) => Attendant;

const proxiesMax = 10_000;
const questionsMax = 64;
/** To a replica: two for each of its proxies, which each are asked for their flows for as long as somebody watches. */
const replicaQuestionsMax = 2 * proxiesMax;
const firstAnswerMs = 5_000;
const answerBytesMax = 1024 * 1024;
/** Characters of one answer that nobody has taken yet. */
const heldCharsMax = 64 * 1024 * 1024;

/** The proxies that attend. */
export class ObserveServer {
  readonly #options: ObserveServerOptions;
  readonly #attending = new Set<Attending>();
  #isClosed = false;

  constructor(options: ObserveServerOptions) {
    this.#options = options;
  }

  /** Adds the service to a router of connect. */
  routes(router: ConnectRouter): void {
    const implementation = {
      observe: (answers: AsyncIterable<ObserveAnswer>, context: HandlerContext) => this.#serve(answers, context),
    };
    router.service(ProxyObserver, implementation, { readMaxBytes: answerBytesMax });
  }

  /** Those that attend now, ordered by kind and name; of two that overlap the newer one comes first. */
  proxies(): readonly ObservedProxy[] {
    return this.#sorted((one): one is Attending & ObservedProxy => one.node.kind !== 'controller');
  }

  /** The other replicas of this controller that attend now, likewise. */
  replicas(): readonly Observed[] {
    return this.#sorted((one): one is Attending => one.node.kind === 'controller');
  }

  /** Ends every stream. Idempotent. */
  close(): void {
    this.#isClosed = true;
    for (const one of this.#attending) one.end();
  }

  #sorted<One extends Attending>(isMeant: (one: Attending) => one is One): readonly One[] {
    const found = [...this.#attending].filter(isMeant).reverse();
    return found.sort((a, b) => (nameOf(a.node) < nameOf(b.node) ? -1 : 1));
  }

  async *#serve(answers: AsyncIterable<ObserveAnswer>, context: HandlerContext): AsyncIterable<ObserveQuestion> {
    if (this.#isClosed) throw new ConnectError('shutting down', Code.Unavailable);
    const admit = await this.#options.authenticate(context.requestHeader);
    if (this.#attending.size >= proxiesMax) throw new ConnectError('too many proxies', Code.ResourceExhausted);
    const iterator = answers[Symbol.asyncIterator]();
    const first = await iterator.next();
    if (first.done === true) return;
    const attending = new Attending(admit(proxyNodeOf(first.value.node)));
    this.#attending.add(attending);
    context.signal.addEventListener('abort', () => attending.end(), { once: true });
    void pump(iterator, attending);
    try {
      yield* attending.questions;
    } finally {
      attending.end();
      this.#attending.delete(attending);
    }
  }
}

interface Pending {
  readonly parts: AsyncQueue<ObserveAnswer>;
  heldChars: number;
}

class Attending implements Observed {
  readonly node: Attendant;
  readonly questions = new AsyncQueue<ObserveQuestion>();
  readonly #pending = new Map<bigint, Pending>();
  #nextId = 1n;
  #isEnded = false;

  constructor(node: Attendant) {
    this.node = node;
  }

  async ask(question: string, signal?: AbortSignal): Promise<SimpleResponse> {
    if (this.#isEnded) throw this.#unreachable('it has just gone');
    const [limit, value] =
      this.node.kind === 'controller'
        ? (['replicaQuestionsMax', replicaQuestionsMax] as const)
        : (['questionsMax', questionsMax] as const);
    if (this.#pending.size >= value) {
      throw new MeshError('LIMIT_REACHED', { limit, value, what: `questions to ${nameOf(this.node)}` });
    }
    const id = this.#nextId++;
    const pending: Pending = { parts: new AsyncQueue<ObserveAnswer>(), heldChars: 0 };
    this.#pending.set(id, pending);
    this.questions.push(create(ObserveQuestionSchema, { id, ask: question }));
    const stop = (): void => this.#forget(id, true);
    signal?.addEventListener('abort', stop, { once: true });
    const timer = setTimeout(stop, firstAnswerMs);
    const parts = pending.parts[Symbol.asyncIterator]();
    const first = await parts.next();
    clearTimeout(timer);
    if (first.done === true) throw this.#unreachable('it did not answer');
    const { status, contentType, chunk, last } = first.value;
    if (last) this.#forget(id, false);
    const release = (): void => {
      signal?.removeEventListener('abort', stop);
      this.#forget(id, true);
    };
    return { status, contentType, body: chunk, stream: this.#rest(parts, pending, last, release) };
  }

  receive(answer: ObserveAnswer): void {
    const pending = this.#pending.get(answer.id);
    if (pending === undefined) return;
    pending.heldChars += answer.chunk.length;
    if (pending.heldChars > heldCharsMax) {
      this.#forget(answer.id, true);
      return;
    }
    pending.parts.push(answer);
    if (answer.last) this.#forget(answer.id, false);
  }

  /** Every question ends. Idempotent. */
  end(): void {
    this.#isEnded = true;
    this.questions.end();
    for (const id of [...this.#pending.keys()]) this.#forget(id, false);
  }

  async *#rest(
    parts: AsyncIterator<ObserveAnswer>,
    pending: Pending,
    isWhole: boolean,
    release: () => void,
  ): AsyncIterable<string> {
    try {
      for (let ended = isWhole; !ended; ) {
        const part = await parts.next();
        if (part.done === true || part.value.failed) throw this.#unreachable('the answer broke off');
        pending.heldChars -= part.value.chunk.length;
        if (part.value.chunk !== '') yield part.value.chunk;
        ended = part.value.last;
      }
    } finally {
      release();
    }
  }

  #forget(id: bigint, tell: boolean): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#pending.delete(id);
    pending.parts.end();
    if (tell) this.questions.push(create(ObserveQuestionSchema, { id, ask: '' }));
  }

  #unreachable(reason: string): MeshError {
    const hint = 'see: ambientctl status';
    return new MeshError('NOT_REACHABLE', { what: nameOf(this.node), reason, hint });
  }
}

function nameOf({ kind, namespace, name, nodeName, waypoint }: Attendant): string {
  return kind === 'node' ? `node/${nodeName}` : `${kind}/${waypoint ?? namespace} ${name}`;
}

/** Reads what the proxy says until it stops; its end is the end of every question. */
async function pump(iterator: AsyncIterator<ObserveAnswer>, attending: Attending): Promise<void> {
  try {
    for (let item = await iterator.next(); item.done !== true; item = await iterator.next()) {
      attending.receive(item.value);
    }
  } catch {
    // The connection broke: the same end, less politely.
  } finally {
    attending.end();
  }
}

// The proxy's side of `observe.proto`: keeps one stream to the controller open, on the connection that discovery uses,
// and answers what comes on it by the same table of routes as the admin port.
import { setTimeout as sleep } from 'node:timers/promises';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient, type Transport } from '@connectrpc/connect';
import { answer, type Routes, type SimpleResponse } from '../telemetry/metrics-server.ts';
import { AsyncQueue } from './async-queue.ts';
import {
  type ObserveAnswer,
  ObserveAnswerSchema,
  type ObserveQuestion,
  ProxyObserver,
} from './generated/observe_pb.ts';
import { type Attendant, proxyNodeMessage } from './proxy-node.ts';

/** Questions of one stream under way at once; more are answered with 429. */
const usualQuestionsMax = 16;
const chunkLength = 64 * 1024;
const againAfterMs = 1_000;

/** Answers a controller's questions. */
export class ObserveClient {
  readonly #node: Attendant;
  readonly #routes: Routes;
  readonly #questionsMax: number;

  constructor(node: Attendant, routes: Routes, questionsMax: number = usualQuestionsMax) {
    this.#questionsMax = questionsMax;
    this.#node = node;
    this.#routes = routes;
  }

  /** Attends until `signal` aborts; resolves at once for a controller that has no such questions. Never rejects. */
  async attend(transport: Transport, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.attendOnce(transport, headers, signal);
      } catch (error) {
        if (ConnectError.from(error).code === Code.Unimplemented) return;
      }
      await sleep(againAfterMs, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  /** Attends until the stream ends; rejects with what it ends with. */
  async attendOnce(
    transport: Transport,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<void> {
    const answers = new AsyncQueue<ObserveAnswer>();
    const running = new Map<bigint, AbortController>();
    answers.push(create(ObserveAnswerSchema, { node: proxyNodeMessage(this.#node) }));
    try {
      const questions = createClient(ProxyObserver, transport).observe(answers, { headers, signal });
      for await (const question of questions) {
        if (question.ask === '') running.get(question.id)?.abort();
        else void this.#answer(question, answers, running);
      }
    } finally {
      for (const one of running.values()) one.abort();
      answers.end();
    }
  }

  async #answer(
    { id, ask }: ObserveQuestion,
    answers: AsyncQueue<ObserveAnswer>,
    running: Map<bigint, AbortController>,
  ): Promise<void> {
    const say = (part: Exclude<MessageInitShape<typeof ObserveAnswerSchema>, ObserveAnswer>): void =>
      answers.push(create(ObserveAnswerSchema, { ...part, id }));
    const max = this.#questionsMax;
    if (running.size >= max) {
      say({ status: 429, contentType: 'text/plain', chunk: `questionsMax is ${max}\n`, last: true });
      return;
    }
    const control = new AbortController();
    running.set(id, control);
    try {
      const [method = '', target = ''] = ask.split(' ');
      const response = await answer(this.#routes, method, target, control.signal);
      say({ status: response.status, contentType: response.contentType });
      for await (const chunk of chunksOf(response)) {
        if (control.signal.aborted) break;
        await answers.taken;
        say({ chunk });
      }
      say({ last: true });
    } catch {
      say({ last: true, failed: true });
    } finally {
      running.delete(id);
    }
  }
}

/** The body and what follows it, in pieces of a size that shares a connection well. */
async function* chunksOf({ body, stream }: SimpleResponse): AsyncIterable<string> {
  for (let at = 0; at < body.length; at += chunkLength) yield body.slice(at, at + chunkLength);
  if (stream === undefined) return;
  for await (const text of stream) {
    for (let at = 0; at < text.length; at += chunkLength) yield text.slice(at, at + chunkLength);
  }
}

// For tests and measurements: the least exchange there is. Each request goes to a client connection that it is given,
// and what comes back goes to the client.
import type { MeshError } from '../../base/errors.ts';
import type {
  ClientConnection,
  Headers,
  IncomingRequest,
  OutgoingRequest,
  RequestChanges,
  RequestHandler,
  ResponseHandler,
  ResponseHead,
  Trailers,
} from '../message.ts';
import { composeRequest } from './compose.ts';

/** Joins one request with one answer. */
export class Relay implements RequestHandler {
  readonly request: IncomingRequest;
  readonly outgoing: OutgoingRequest;
  readonly failures: MeshError[] = [];
  changes: RequestChanges | null = null;

  constructor(request: IncomingRequest, upstream: ClientConnection, changes: RequestChanges | null = null) {
    this.request = request;
    this.outgoing = upstream.send(composeRequest(request.head, changes), new Answer(this));
    request.start(this);
  }

  onData(chunk: Buffer): number {
    return this.outgoing.write(chunk);
  }
  onEnd(trailers: Trailers): void {
    this.outgoing.end(trailers);
  }
  onDrain(): void {
    this.outgoing.resume();
  }
  onAbort(_error: MeshError): void {
    this.outgoing.cancel();
  }
}

class Answer implements ResponseHandler {
  readonly #relay: Relay;

  constructor(relay: Relay) {
    this.#relay = relay;
  }

  onInform(status: number, headers: Headers): void {
    this.#relay.request.inform(status, headers);
  }
  onHead(head: ResponseHead, endStream: boolean): void {
    this.#relay.request.respond(head, null, endStream);
  }
  onData(chunk: Buffer): number {
    return this.#relay.request.write(chunk);
  }
  onEnd(trailers: Trailers): void {
    this.#relay.request.end(trailers);
  }
  onDrain(): void {
    this.#relay.request.resume();
  }
  onFailure(error: MeshError): void {
    this.#relay.failures.push(error);
    if (this.#relay.request.unanswered) this.#relay.request.answer(502, [], `${error.message}\n`);
    else this.#relay.request.reset(error);
  }
}

// What HTTP/1.1 and HTTP/2 have in common: heads, bodies, and who tells whom. The codecs (`h1/`, `h2/`) implement it on
// both sides; the exchange engine (`exchange/`) joins one incoming request with one outgoing one and sees no bytes of
// framing.
//
//   client ══▶ ServerConnection ──▶ IncomingRequest ──▶ exchange ──▶ ClientConnection.send ══▶ endpoint
//
// Heads are views into memory of the connection: valid during the call that delivered them, and until the exchange
// answers or lets go where a method says so. A body chunk follows the rules of `io/byte-stream.ts` (`Took`). Bodies are
// payload alone: framing is made anew on the other side, so that no odd framing ever passes through.
import type { MeshError } from '../base/errors.ts';
import type { StreamTiming } from '../io/stream-timing.ts';

export type HttpProtocol = 'http1' | 'http2';

/**
 * Header lines without those that end at this hop (`Connection` and what it nominates, `Keep-Alive`, `TE` other than
 * `trailers`, `Transfer-Encoding`, `Upgrade`, …): what is matched is what goes on. h1: `host` and `content-length` are
 * among them; whoever makes another head of them leaves `host` out. Values have one character per byte.
 */
export interface Headers {
  /**
   * Values of the header, joined with ', ' (cookie: '; ') where it is repeated; null when absent. `name` in lower case.
   */
  get(name: string): string | null;
  has(name: string): boolean;
  /** Whether any name begins with `prefix`, which is in lower case. */
  hasPrefix(prefix: string): boolean;
  /** In order, names as they came (h2: lower case), repeated ones one by one, pseudo-headers left out. */
  each(visit: (name: string, value: string) => void): void;
}

export interface RequestHead {
  readonly protocol: HttpProtocol;
  /** Upper case as it came; known methods are interned. */
  readonly method: string;
  /** Path with query, origin form (absolute form is taken apart by the codec). */
  readonly target: string;
  readonly authority: string;
  /** `http` unless the client says otherwise. */
  readonly scheme: string;
  readonly headers: Headers;
  /** Bytes of the body, 0 when there is none, -1 when only its end will tell. */
  readonly contentLength: number;
  readonly expectsContinue: boolean;
  /** Protocol asked for (`websocket`, or `:protocol` of RFC 8441), lower case; null for an ordinary request. */
  readonly upgrade: string | null;
  /** content-type `application/grpc…`. */
  readonly grpc: boolean;
  /** Bytes of the head as it came, for limits and telemetry. */
  readonly headBytes: number;
}

export interface ResponseHead {
  readonly protocol: HttpProtocol;
  /** 200 to 599, or 101. */
  readonly status: number;
  readonly headers: Headers;
  /** As in a request; 0 also for answers that have no body by rule (HEAD, 204, 304). */
  readonly contentLength: number;
  readonly headBytes: number;
}

/** Changes to a head while it passes; removals first, then sets, then adds. Names in lower case. */
export interface HeadChanges {
  readonly remove: readonly string[];
  readonly set: readonly (readonly [name: string, value: string])[];
  readonly add: readonly (readonly [name: string, value: string])[];
}

/** What a request becomes on its way; null keeps what came. */
export interface RequestChanges extends HeadChanges {
  readonly method: string | null;
  readonly target: string | null;
  readonly authority: string | null;
}

/** Trailers as pairs, names in lower case; null where there are none. */
export type Trailers = readonly (readonly [name: string, value: string])[] | null;

/** The receiver of a body, either way. */
export interface BodyHandler {
  /** Returns a mask of `Took`. */
  onData(chunk: Buffer): number;
  /** The body is whole. At most once; nothing but `onClose` after it. */
  onEnd(trailers: Trailers): void;
}

/** The side of the exchange that a client's request is handed to. */
export interface RequestHandler extends BodyHandler {
  /** The answer's queue, whose `write` said `Pause`, has emptied. */
  onDrain(): void;
  /** The client has gone or broke the protocol before the exchange was over; exactly once, never after a normal end. */
  onAbort(error: MeshError, wasReset: boolean): void;
}

/** A request as its server side holds it. The exchange answers exactly once: `respond`, `answer`, or `reset`. */
export interface IncomingRequest {
  /** Valid until the request is over (answer whole, aborted, reset); then its `headers` are empty, the rest stays. */
  readonly head: RequestHead;
  /** When its first byte was read, `performance.now()`. */
  readonly startedAtMs: number;
  /** True until the first byte of a final answer was given to the connection. */
  readonly unanswered: boolean;
  /** Body bytes delivered, and answer bytes written (payload). */
  readonly bytesReceived: number;
  readonly bytesSent: number;
  /**
   * Begins the delivery of the body; before it nothing is delivered. It may call `handler` before it returns (the end
   * of an empty body). Called again, it hands the rest over to another handler.
   */
  start(handler: RequestHandler): void;
  pause(): void;
  resume(): void;
  /** A 1xx other than 101. `100` where the client waits for it. */
  inform(status: number, headers: Headers | null): void;
  /**
   * Passes an upstream's final head on; `endStream`: no body follows. A 101 (or h2 CONNECT 200) turns the rest to raw
   * bytes.
   */
  respond(head: ResponseHead, changes: HeadChanges | null, endStream: boolean): void;
  /** Answers itself, with a whole body ('' for none). gRPC callers get trailers-only with the mapped status. */
  answer(status: number, headers: readonly (readonly [name: string, value: string])[], body: string): void;
  /** Body of the answer after `respond`. Returns a mask of `Took`. */
  write(chunk: Buffer): number;
  end(trailers: Trailers): void;
  /** Ends the exchange so that the client sees an abort: h1 closes with a reset, h2 RST_STREAM(code). */
  reset(error: MeshError): void;
}

/** What could be read of a request that was refused; valid during `onRefused`. */
export interface RefusedHead {
  readonly method: string;
  readonly target: string;
  /** Those that came before it was clear. */
  readonly headers: Headers;
}

export interface ServerEvents {
  onRequest(request: IncomingRequest): void;
  /** A request that was never handed over: refused by the codec, which has answered with `status` (0: closed only). */
  onRefused(status: number, error: MeshError, head: RefusedHead | null): void;
  /** Exactly once. */
  onClose(error: MeshError | null): void;
}

/** A client's connection (a tunnel's stream). Made by `createServerConnection` of each codec. */
export interface ServerConnection {
  /** Requests that are not over. */
  readonly active: number;
  /** No new request: h1 answers with `connection: close`, h2 sends GOAWAY; closes when idle. */
  drain(): void;
  destroy(): void;
}

/**
 * A request's head in the bytes (h1) or the block (h2) that go out: bound to no connection, so it is its own retry
 * copy.
 */
export interface ComposedRequest {
  readonly protocol: HttpProtocol;
  readonly bytes: Buffer;
  /** HEAD and CONNECT change how the answer is read. */
  readonly method: string;
  readonly contentLength: number;
  readonly upgrade: string | null;
  /** HTTP/2: what the 101 says that an HTTP/1.1 client is owed for a CONNECT that was taken. Flat list. */
  readonly switched?: readonly string[];
}

export interface ResponseHandler extends BodyHandler {
  onInform(status: number, headers: Headers): void;
  /** `endStream`: `onEnd` follows at once. */
  onHead(head: ResponseHead, endStream: boolean): void;
  onDrain(): void;
  /**
   * The exchange failed; exactly once, never after `onEnd`. `unprocessed`: the endpoint cannot have seen the request
   * (refused stream, GOAWAY, a reused connection that ended before a byte of it was written).
   */
  onFailure(error: MeshError, unprocessed: boolean): void;
}

export interface OutgoingRequest {
  /** True once any byte of the request was given to the kernel or the tunnel. */
  readonly bytesLeft: boolean;
  write(chunk: Buffer): number;
  end(trailers: Trailers): void;
  pause(): void;
  resume(): void;
  /** Gives the request up; the handler is not called any more. h1 closes the connection unless the answer was whole. */
  cancel(): void;
}

export interface ClientConnectionEvents {
  /** It can take (more) requests, h1 after each answer that leaves it reusable; or it has retired. */
  onFree(connection: ClientConnection): void;
  onClose(connection: ClientConnection, error: MeshError | null): void;
}

/** A connection to an endpoint, on any `ByteStream`. Made by `createClientConnection` of each codec. */
export interface ClientConnection {
  readonly protocol: HttpProtocol;
  /** How many more requests it takes now; h1: 1 or 0. */
  readonly room: number;
  /** It takes no more requests, ever; those it has may still go on (GOAWAY, drain). */
  readonly retired: boolean;
  readonly active: number;
  /** Requests sent on it so far. */
  readonly served: number;
  /** What the proxy at its other end tells of the time of requests; null where it tells nothing. */
  readonly timing: StreamTiming | null;
  send(request: ComposedRequest, handler: ResponseHandler): OutgoingRequest;
  drain(): void;
  destroy(): void;
}

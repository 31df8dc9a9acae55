// The codecs by protocol: the one place that knows them all.
import type { ByteStream } from '../../io/byte-stream.ts';
import type { DeadlineLists } from '../../io/deadlines.ts';
import { createClientConnection, type H1ClientOptions } from '../h1/client-connection.ts';
import { composeRequest } from '../h1/compose.ts';
import type { H1ServerOptions } from '../h1/limits.ts';
import { createServerConnection } from '../h1/server-connection.ts';
import { createHttp2Client } from '../h2/client-connection.ts';
import { composeHttp2 } from '../h2/compose.ts';
import { createHttp2Server } from '../h2/server-connection.ts';
import type {
  ClientConnection,
  ClientConnectionEvents,
  ComposedRequest,
  HttpProtocol,
  RequestChanges,
  RequestHead,
  ServerConnection,
  ServerEvents,
} from '../message.ts';

const http1Server: H1ServerOptions = {};
/** Pools watch over idle connections themselves. */
const http1Client: H1ClientOptions = { idleTimeoutMs: 0 };

/** Serves a client's stream. `peer` is for error words. */
export function serveHttp(
  protocol: HttpProtocol,
  stream: ByteStream,
  events: ServerEvents,
  peer: string,
  deadlines: DeadlineLists,
): ServerConnection {
  return protocol === 'http2'
    ? createHttp2Server(stream, events, { peer, deadlines })
    : createServerConnection(stream, events, http1Server);
}

/** Speaks to an endpoint. */
export function speakHttp(
  protocol: HttpProtocol,
  stream: ByteStream,
  events: ClientConnectionEvents,
  peer: string,
): ClientConnection {
  return protocol === 'http2'
    ? createHttp2Client(stream, events, { peer })
    : createClientConnection(stream, events, http1Client);
}

/** A request's head as it leaves. */
export function composeHead(protocol: HttpProtocol, head: RequestHead, changes: RequestChanges): ComposedRequest {
  return protocol === 'http2' ? composeHttp2(head, changes) : composeRequest(head, changes);
}

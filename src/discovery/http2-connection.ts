// One HTTP/2 connection of a client, for connect's transport to make its calls on. It is opened once and never again:
// who needs another one opens it. Written because the session manager of connect-node stops listening for errors while
// a session is being destroyed, and an error that nobody listens for ends the whole process.
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ClientSessionRequestOptions,
  connect,
  constants,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { MeshError, messageOf } from '../base/errors.ts';

export interface Http2ConnectionOptions {
  /** `https://HOST:PORT`. */
  readonly url: string;
  /** PEM of the roots that verify the server. */
  readonly rootsPem: string;
  /** What the certificate has to have; '' for the host of the URL. */
  readonly serverName?: string;
  readonly connectTimeoutMs: number;
  /** A PING goes out when nothing was received for this long, and must be answered within `pingTimeoutMs`. */
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
}

/** An open connection; fits `sessionManager` of connect's transports. */
export class Http2Connection {
  readonly authority: string;
  readonly #options: Http2ConnectionOptions;
  readonly #session: ClientHttp2Session;
  #failure: unknown = null;
  #receivedAtMs = performance.now();
  #pingTimer: NodeJS.Timeout | null = null;

  private constructor(options: Http2ConnectionOptions, session: ClientHttp2Session) {
    this.authority = new URL(options.url).origin;
    this.#options = options;
    this.#session = session;
    session.on('error', (error) => {
      this.#failure ??= error;
    });
    session.on('close', () => this.#stopPinging());
  }

  /** Connects. Throws NOT_REACHABLE with the reason of the failure, or after `connectTimeoutMs`. */
  static open(options: Http2ConnectionOptions): Promise<Http2Connection> {
    const { url, rootsPem, connectTimeoutMs, serverName = '' } = options;
    return new Promise((resolve, reject) => {
      const session = connect(url, { ca: rootsPem, ...(serverName === '' ? {} : nameOptions(serverName)) });
      const connection = new Http2Connection(options, session);
      const timer = setTimeout(() => fail(`no answer in ${connectTimeoutMs} ms`), connectTimeoutMs);
      const fail = (reason: string): void => {
        clearTimeout(timer);
        reject(connection.#unreachable(reason));
        connection.close();
      };
      session.once('connect', () => {
        clearTimeout(timer);
        connection.#pingLater(options.pingIntervalMs);
        resolve(connection);
      });
      session.once('error', (error) => fail(messageOf(error)));
      session.once('close', () => fail('the connection was closed'));
    });
  }

  /** False when no further call can be made: the server said goodbye, or the connection is gone. */
  get isOpen(): boolean {
    return !this.#session.closed && !this.#session.destroyed;
  }

  /** Called by connect. Rejects with NOT_REACHABLE when the connection is not open any more. */
  async request(
    method: string,
    path: string,
    headers: OutgoingHttpHeaders,
    options: Omit<ClientSessionRequestOptions, 'signal'>,
  ): Promise<ClientHttp2Stream> {
    if (!this.isOpen) throw this.#unreachable(this.#failure === null ? 'closed' : messageOf(this.#failure));
    const stream = this.#session.request({ ...headers, ':method': method, ':path': path }, options);
    // Whoever called may not listen yet, or no more.
    stream.on('error', () => undefined);
    return stream;
  }

  /** Called by connect whenever something was read. */
  notifyResponseByteRead(): void {
    this.#receivedAtMs = performance.now();
  }

  /** Ends the connection and every call on it. Idempotent. */
  close(): void {
    this.#stopPinging();
    if (!this.#session.destroyed) this.#session.destroy(undefined, constants.NGHTTP2_CANCEL);
  }

  #pingLater(delayMs: number): void {
    this.#pingTimer = setTimeout(() => this.#pingIfQuiet(), delayMs);
    this.#pingTimer.unref();
  }

  #pingIfQuiet(): void {
    const { pingIntervalMs, pingTimeoutMs } = this.#options;
    // It is destroyed before it is closed, and then takes no PING: the call would throw.
    if (this.#session.destroyed) return;
    const quietMs = performance.now() - this.#receivedAtMs;
    if (quietMs < pingIntervalMs) {
      this.#pingLater(pingIntervalMs - quietMs);
      return;
    }
    this.#pingTimer = setTimeout(() => {
      this.#session.destroy(this.#unreachable(`no answer to a PING in ${pingTimeoutMs} ms`));
    }, pingTimeoutMs);
    this.#session.ping((error) => {
      this.#stopPinging();
      if (error !== null || this.#session.destroyed) return;
      this.#receivedAtMs = performance.now();
      this.#pingLater(pingIntervalMs);
    });
  }

  #stopPinging(): void {
    if (this.#pingTimer !== null) clearTimeout(this.#pingTimer);
    this.#pingTimer = null;
  }

  #unreachable(reason: string): MeshError {
    const hint = 'is the controller running and the address right?';
    return new MeshError('NOT_REACHABLE', { what: this.#options.url, reason, hint }, { cause: this.#failure });
  }
}

/** An address may be in a certificate too, and not in the TLS handshake. */
function nameOptions(name: string) {
  return {
    ...(isIP(name) === 0 ? { servername: name } : {}),
    checkServerIdentity: (_host: string, certificate: PeerCertificate) => checkServerIdentity(name, certificate),
  };
}

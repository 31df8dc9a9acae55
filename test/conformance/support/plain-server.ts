// The tunnel's HTTP/2 sessions over plain TCP with prior knowledge, for peers that cannot show a client certificate.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { headerOf } from '../../../src/h2/header-check.ts';
import { H2Session } from '../../../src/h2/session.ts';
import type { LocalSettings } from '../../../src/h2/settings.ts';
import type { H2Stream } from '../../../src/h2/stream.ts';
import { type ByteStream, type ByteStreamHandler, Took } from '../../../src/io/byte-stream.ts';
import { createTcpServer } from '../../../src/io/listen-tcp.ts';
import { chooseTcpBackend } from '../../../src/io/tcp-self-test.ts';

export type OnStream = (stream: H2Stream, headers: readonly string[]) => void;

export interface PlainServer {
  readonly port: number;
  /** Streams open on all sessions. */
  streams(): number;
  close(): void;
}

/** Listens on 127.0.0.1; every connection becomes a server session, every request goes to `onStream`. */
export async function listenPlain(onStream: OnStream, settings: Partial<LocalSettings> = {}): Promise<PlainServer> {
  await chooseTcpBackend();
  const sessions = new Set<H2Session>();
  const accept = (transport: ByteStream): void => {
    const session: H2Session = new H2Session({
      role: 'server',
      transport,
      peer: 'test',
      pingIntervalMs: 0,
      settings,
      events: {
        onStream,
        onReady: () => undefined,
        onCapacity: () => undefined,
        onRetired: () => undefined,
        onClose: () => sessions.delete(session),
      },
    });
    sessions.add(session);
    session.start();
  };
  const server = createTcpServer(accept, { memory: 'own' });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    streams: () => [...sessions].reduce((sum, session) => sum + session.streamCount, 0),
    close: () => {
      server.close();
      for (const session of sessions) session.destroy();
    },
  };
}

/**
 * A tunnel to an echo: answered at once, open until both sides have ended it. Whatever the method is, since not every
 * tester can send CONNECT.
 */
export const echoTunnels: OnStream = (stream) => {
  stream.respond([':status', '200'], false);
  stream.start(new Echo(stream));
};

/** How long an ordinary request takes, so that several are open at once. */
const answerAfterMs = 20;
const greeting = Buffer.from('hello from the mesh\n');

/** Answers an ordinary request, a while after it is complete, with 200 and its own body, or a line if it has none. */
export const answerRequests: OnStream = (stream, headers) => {
  stream.start(new Answer(stream, headerOf(headers, ':method')));
};

class Echo implements ByteStreamHandler {
  protected readonly stream: H2Stream;

  constructor(stream: H2Stream) {
    this.stream = stream;
  }

  onData(chunk: Buffer): number {
    return this.stream.write(chunk);
  }

  onEnd(): void {
    this.stream.end();
  }

  onDrain(): void {
    this.stream.resume();
  }

  onClose(): void {}
}

class Answer extends Echo {
  readonly #method: string;
  readonly #body: Buffer[] = [];

  constructor(stream: H2Stream, method: string) {
    super(stream);
    this.#method = method;
  }

  override onData(chunk: Buffer): number {
    this.#body.push(Buffer.from(chunk));
    return Took.All;
  }

  override onEnd(): void {
    setTimeout(() => this.#answer(), answerAfterMs);
  }

  #answer(): void {
    const body = Buffer.concat(this.#body);
    const sent = body.length === 0 ? greeting : body;
    const bodiless = this.#method === 'HEAD';
    this.stream.respond([':status', '200', 'content-length', String(sent.length)], bodiless);
    if (bodiless) return;
    this.stream.write(sent);
    this.stream.end();
  }
}

// The HTTP service of a waypoint's thread, assembled.
import type { ByteStream } from '../../io/byte-stream.ts';
import type { ConnectionView, EjectedListView } from '../../model/views.ts';
import { ClientSession, type SessionOwner } from './client-session.ts';
import type { ClientInfo, HttpService, HttpServiceContext, HttpServiceStats } from './context.ts';
import { Engine } from './engine.ts';
import { requestViews } from './request-views.ts';
import { strainOf } from './strain.ts';

/** Makes the service. It needs no start; `close` ends everything it has opened. */
export function createHttpService(context: HttpServiceContext): HttpService {
  return new Service(context);
}

class Service implements HttpService, SessionOwner {
  readonly engine: Engine;
  draining = false;
  readonly #sessions = new Set<ClientSession>();
  #drained: (() => void) | null = null;

  constructor(context: HttpServiceContext) {
    this.engine = new Engine(context);
    this.engine.onIdle = () => this.#considerDrained();
  }

  serve(stream: ByteStream, client: ClientInfo): void {
    const session = new ClientSession(this, client);
    this.#sessions.add(session);
    session.begin(stream);
  }

  meshChanged(): void {
    this.engine.meshChanged();
  }

  policiesChanged(): void {
    this.engine.policiesChanged();
  }

  views(thread: number, max?: number): ConnectionView[] {
    return requestViews(this.engine.live, thread, max);
  }

  strain(): EjectedListView {
    return strainOf(this.engine.destinations(), this.engine.nowMs(), Date.now());
  }

  stats(): HttpServiceStats {
    const { engine } = this;
    return {
      connections: this.#sessions.size,
      requests: engine.live.size,
      upstreamConnections: engine.upstreamConnections,
      mirrorsDropped: engine.mirrorsDropped,
      retries: engine.retries,
      retriesRefused: engine.retriesRefused,
      ejections: engine.ejections,
      limited: engine.limited,
    };
  }

  drain(deadlineMs: number): Promise<void> {
    this.draining = true;
    for (const session of [...this.#sessions]) session.drain();
    if (this.#isQuiet) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, deadlineMs);
      this.#drained = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  close(): void {
    this.draining = true;
    for (const session of [...this.#sessions]) session.destroy();
    this.engine.close();
  }

  onSessionClose(session: ClientSession): void {
    this.#sessions.delete(session);
    this.#considerDrained();
  }

  /** A client whose stream is open may have sent a request that is not here yet: only its end says that none comes. */
  get #isQuiet(): boolean {
    return this.engine.live.size === 0 && this.#sessions.size === 0;
  }

  #considerDrained(): void {
    if (!this.#isQuiet) return;
    this.#drained?.();
    this.#drained = null;
  }
}

// Answers the probes of the kubelet from the first moment on: alive at once, ready when nothing is waited for any more.
import { SimpleServer } from '../telemetry/metrics-server.ts';
import { readinessRoutes } from './admin.ts';

/** Listens on the readiness port from `start` to `close`. */
export class Probes {
  /** What is waited for; nothing means ready. */
  pending: () => readonly string[] = () => ['the controller is starting'];
  readonly #server: SimpleServer;

  constructor(port: number) {
    this.#server = new SimpleServer({ host: '', port, routes: readinessRoutes(() => this.pending()) });
  }

  /** Returns the port. Throws NOT_REACHABLE when it cannot be had. */
  start(): Promise<number> {
    return this.#server.start();
  }

  /** Idempotent. */
  close(): Promise<void> {
    return this.#server.close();
  }
}

// Between the backend of capture that opens listeners inside of pods and the data threads that accept from them: each
// thread gets descriptors of its own, and one that starts anew is told of all pods.
import type { OpenPod, PodSink } from '../capture/pod-namespace.ts';
import { type TransparentListeners, transparentListeners } from '../io/transparent-listener.ts';
import type { ToDataThread } from '../proxy/messages.ts';

export interface PodListenersOptions {
  /** Sends to one thread what `make` makes, unless that thread does not live. */
  readonly tell: (threadId: number, make: () => ToDataThread | null) => void;
  readonly broadcast: (message: ToDataThread) => void;
}

/** Passes on what `PodCapture` opens and closes. */
export class PodListeners implements PodSink {
  readonly #options: PodListenersOptions;
  readonly #sockets: TransparentListeners | null = transparentListeners();
  readonly #open = new Map<number, OpenPod>();

  constructor(options: PodListenersOptions) {
    this.#options = options;
  }

  opened(pod: OpenPod): void {
    this.#open.set(pod.id, pod);
    for (const threadId of pod.listeners.keys()) this.#options.tell(threadId, () => this.#message(pod, threadId));
  }

  closed(id: number): void {
    if (this.#open.delete(id)) this.#options.broadcast({ type: 'podClosed', id });
  }

  released(id: number): void {
    this.#open.delete(id);
  }

  /** What a data thread that starts has to be told. */
  messages(threadId: number): ToDataThread[] {
    return [...this.#open.values()].flatMap((pod) => this.#message(pod, threadId) ?? []);
  }

  /** Null when no descriptor is left: then the other threads serve the pod. */
  #message({ id, addresses, namespace, listeners }: OpenPod, threadId: number): ToDataThread | null {
    const row = listeners[threadId];
    if (row === undefined) return null;
    const copy = (fd: number): number | null => this.#sockets?.duplicate(fd) ?? null;
    const [outbound, inbound, hbone] = [copy(row.outbound), copy(row.inbound), copy(row.hbone)];
    if (outbound === null || inbound === null || hbone === null) return null;
    return { type: 'podOpened', pod: { id, addresses, namespace, listeners: { outbound, inbound, hbone } } };
  }
}

// The Events that were told last, for whom there is no cluster to write them into: `GET /events`.
import { type ClusterEvent, eventName } from '../kube/event-writer.ts';
import type { EventView } from '../model/views.ts';

const eventsMax = 200;

/** What is told again is counted. */
export class EventBoard {
  readonly #views = new Map<string, EventView>();

  tell(event: ClusterEvent, nowMs: number): void {
    const name = eventName(event);
    const time = new Date(nowMs).toISOString();
    const before = this.#views.get(name);
    const { regarding, type, reason, note } = event;
    this.#views.delete(name);
    const [oldest] = this.#views.keys();
    if (oldest !== undefined && this.#views.size >= eventsMax) this.#views.delete(oldest);
    const [firstTime, count] = [before?.firstTime ?? time, (before?.count ?? 0) + 1];
    this.#views.set(name, { name, regarding, type, reason, note, count, firstTime, lastTime: time });
  }

  /** Oldest first. */
  views(): readonly EventView[] {
    return [...this.#views.values()];
  }
}

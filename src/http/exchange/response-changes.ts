// What an answer is changed by on its way to the client: the edits of the route and of the backend, and what steps add
// (CORS, a sticky cookie). Null where nothing is, which is nearly always.
import type { HeaderEdits } from '../../model/route-types.ts';
import type { HeadChanges } from '../message.ts';
import { isEmpty, noEdits } from './header-edits.ts';
import type { RequestTimes } from './segments.ts';

type Pair = readonly [name: string, value: string];

/** Gathers changes; `merged` is what the codec gets. */
export class ResponseChanges {
  #edits: HeaderEdits = noEdits;
  #set: Pair[] | null = null;
  #add: Pair[] | null = null;
  #remove: string[] | null = null;
  /** Says where the time went (`server-timing`). */
  timed = false;

  /** The route's, with the drawn backend's chained to them. */
  edit(edits: HeaderEdits): void {
    this.#edits = edits;
  }

  set(pairs: readonly Pair[]): void {
    this.#set = [...(this.#set ?? []), ...pairs];
  }

  remove(name: string): void {
    this.#remove = [...(this.#remove ?? []), name];
  }

  add(name: string, value: string): void {
    this.#add = [...(this.#add ?? []), [name, value]];
  }

  /** `times`: of the request, up to the head of its answer. */
  merged(times: RequestTimes): HeadChanges | null {
    if (this.timed) this.add('server-timing', times.serverTiming());
    const edits = this.#edits;
    if (this.#set === null && this.#add === null && this.#remove === null) return isEmpty(edits) ? null : edits;
    return {
      remove: this.#remove === null ? edits.remove : [...edits.remove, ...this.#remove],
      set: this.#set === null ? edits.set : [...edits.set, ...this.#set],
      add: this.#add === null ? edits.add : [...edits.add, ...this.#add],
    };
  }

  /** What a local answer carries: additions of steps alone. */
  pairs(): readonly Pair[] {
    return [...(this.#set ?? []), ...(this.#add ?? [])];
  }
}

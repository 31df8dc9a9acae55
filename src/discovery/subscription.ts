// What one proxy follows of one type: what it still has to be sent, what it has been sent and not answered yet, what it
// refused. One response is under way at a time, so a proxy that does not keep up sets its own pace.
//
//   pending ──nextPage──▶ awaiting ──ack──▶ applied
//                            └─────nack──▶ refused (by name), the rest applied
import type { DeltaDiscoveryRequest } from './generated/ads_pb.ts';
import { type RefusedResource, refusalsOf } from './refusals.ts';
import type { ResourceTable } from './resource-table.ts';
import type { EncodedResource, TypeUrl } from './resources.ts';

export interface Page {
  readonly resources: readonly EncodedResource[];
  readonly removed: readonly string[];
  readonly version: string;
  /** More of the same change follows. */
  readonly hasMore: boolean;
}

interface Awaited extends Page {
  readonly nonce: string;
  readonly sentMs: number;
}

/** Bounds of one response, so that no proxy has to swallow a whole mesh at once (gRPC's usual limit is 4 MiB). */
const pageResourcesMax = 2_000;
const pageBytesMax = 2 * 1024 * 1024;
/** Names that nobody knows, asked for by one proxy and not answered yet. */
const unknownNamesMax = 1_000;

/** The state of one proxy and type; sends nothing itself. */
export class Subscription {
  readonly typeUrl: TypeUrl;
  readonly #table: ResourceTable;
  readonly #pending = new Set<string>();
  #cursor: number;
  #isAnswerDue = true;
  #awaited: Awaited | null = null;
  #applied = '';
  #hasAnswered = false;
  #behindSinceMs: number | null;
  readonly #refused = new Map<string, string>();

  /** `held` is what the proxy says it has from before: only what differs is sent. */
  constructor(typeUrl: TypeUrl, table: ResourceTable, held: Readonly<Record<string, string>>, nowMs: number) {
    this.typeUrl = typeUrl;
    this.#table = table;
    this.#cursor = table.end;
    this.#behindSinceMs = nowMs;
    for (const name of table.names()) {
      if (!Object.hasOwn(held, name) || held[name] !== table.get(name)?.version) this.#pending.add(name);
    }
    for (const name of Object.keys(held)) if (table.get(name) === undefined) this.#pending.add(name);
  }

  /** The table has changed: from now on this proxy is behind, whether or not it can be told yet. */
  noteChange(nowMs: number): void {
    if (this.#cursor < this.#table.end) this.#behindSinceMs ??= nowMs;
  }

  /** Marks `names` to be sent again whatever the proxy has; unknown ones are answered as removed. */
  resend(names: readonly string[]): void {
    for (const name of names) {
      if (this.#pending.size < this.#table.size + unknownNamesMax) this.#pending.add(name);
    }
    this.#isAnswerDue = true;
  }

  /** Takes over what changed since the last call. False when that lies too far back to be known. */
  catchUp(): boolean {
    if (this.#cursor === this.#table.end) return true;
    const changes = this.#table.changesSince(this.#cursor);
    if (changes === null) return false;
    for (const name of changes) this.#pending.add(name);
    this.#cursor = this.#table.end;
    return true;
  }

  get isAwaiting(): boolean {
    return this.#awaited !== null;
  }

  /** Something is to be sent, or was sent and not answered. */
  get hasWork(): boolean {
    return this.#awaited !== null || this.#isAnswerDue || this.#pending.size > 0 || this.#cursor < this.#table.end;
  }

  /** There is a resource, not only removals, to be sent. */
  get hasUpserts(): boolean {
    for (const name of this.#pending) if (this.#table.get(name) !== undefined) return true;
    return false;
  }

  /**
   * What to send next, or null when there is nothing or an answer is outstanding. With `keepRemovals` removals are held
   * back.
   * Call `sent` with the nonce when it goes out.
   */
  nextPage(keepRemovals: boolean): Page | null {
    if (this.#awaited !== null) return null;
    const resources: EncodedResource[] = [];
    const removed: string[] = [];
    let bytes = 0;
    for (const name of this.#pending) {
      const resource = this.#table.get(name);
      if (resource === undefined && keepRemovals) continue;
      if (resources.length + removed.length >= pageResourcesMax || bytes >= pageBytesMax) break;
      this.#pending.delete(name);
      bytes += name.length + (resource?.bytes.length ?? 0);
      if (resource === undefined) removed.push(name);
      else resources.push(resource);
    }
    if (resources.length + removed.length === 0 && !this.#isAnswerDue) return null;
    return { resources, removed, version: this.#table.version, hasMore: this.#pending.size > 0 };
  }

  sent(page: Page, nonce: string, nowMs: number): void {
    this.#isAnswerDue = false;
    this.#awaited = { ...page, nonce, sentMs: nowMs };
  }

  /** Takes an answer. Returns how long it took and what was refused; null when its nonce is not the one outstanding. */
  answer(
    request: DeltaDiscoveryRequest,
    nowMs: number,
  ): { durationMs: number; refused: readonly RefusedResource[] } | null {
    const awaited = this.#awaited;
    if (awaited === null || awaited.nonce !== request.responseNonce) return null;
    this.#awaited = null;
    this.#refused.delete('*');
    for (const { name } of awaited.resources) this.#refused.delete(name);
    for (const name of awaited.removed) this.#refused.delete(name);
    const refused = request.errorDetail === undefined ? [] : refusalsOf(request.errorDetail);
    for (const { resource, reason } of refused) this.#refused.set(resource, reason);
    if (!awaited.hasMore) {
      this.#hasAnswered = true;
      if (this.#refused.size === 0) this.#applied = awaited.version;
    }
    if (!this.hasWork && this.#refused.size === 0) this.#behindSinceMs = null;
    return { durationMs: nowMs - awaited.sentMs, refused };
  }

  /** It has had everything once, and took it or said what not. */
  get hasAnswered(): boolean {
    return this.#hasAnswered;
  }

  get behindSinceMs(): number | null {
    return this.#behindSinceMs;
  }

  view(): { readonly type: string; readonly applied: string; readonly refused: readonly RefusedResource[] } {
    const refused = [...this.#refused].map(([resource, reason]) => ({ resource, reason }));
    return { type: this.typeUrl.slice(this.typeUrl.indexOf('/') + 1), applied: this.#applied, refused };
  }
}

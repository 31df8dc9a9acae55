// What one proxy follows of one type: what it still has to be sent, what it has been sent and not answered yet, what it
// refused. One response is under way at a time, so a proxy that does not keep up sets its own pace.
//
//   pending ──nextPage──▶ awaiting ──ack──▶ applied
//                            └─────nack──▶ refused (by name), the rest applied
import type { DeltaDiscoveryRequest } from './generated/ads_pb.ts';
import { type RefusedResource, refusalsOf } from './refusals.ts';
import type { ResourceTable } from './resource-table.ts';
import { type EncodedResource, type TypeUrl, typeUrls } from './resources.ts';

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
  /** Policies that the proxy may hold in a scope that needs no naming: a namespace's, or the mesh's. */
  readonly #wide = new Set<string>();

  /** `held` is what the proxy says it has from before: only what differs is sent. */
  constructor(typeUrl: TypeUrl, table: ResourceTable, held: Readonly<Record<string, string>>, nowMs: number) {
    this.typeUrl = typeUrl;
    this.#table = table;
    this.#cursor = table.end;
    this.#behindSinceMs = nowMs;
    for (const name of table.names()) {
      if (!Object.hasOwn(held, name) || held[name] !== table.get(name)?.version) this.#pending.add(name);
    }
    for (const name of Object.keys(held)) {
      const resource = table.get(name);
      if (resource === undefined) this.#pending.add(name);
      if (typeUrl !== typeUrls.authorization) continue;
      // Of an earlier version nobody knows the scope any more.
      if (resource?.scope !== 'workload' || resource.version !== held[name]) this.#wide.add(name);
    }
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

  /** There is a resource to be sent that need not wait for others; removals and narrowed policies do. */
  get hasUrgent(): boolean {
    for (const name of this.#pending) if (!this.#canWait(name, this.#table.get(name))) return true;
    return false;
  }

  /**
   * A policy that covered a namespace and now covers what names it: the proxy has to learn first who names it, or for
   * that moment it would judge nobody.
   */
  #canWait(name: string, resource: EncodedResource | undefined): boolean {
    return resource === undefined || (resource.scope === 'workload' && this.#wide.has(name));
  }

  /**
   * What to send next, or null when there is nothing or an answer is outstanding. With `onlyUrgent` removals and
   * narrowed policies are held back.
   * Call `sent` with the nonce when it goes out.
   */
  nextPage(onlyUrgent: boolean): Page | null {
    if (this.#awaited !== null) return null;
    const resources: EncodedResource[] = [];
    const removed: string[] = [];
    let bytes = 0;
    for (const name of this.#pending) {
      const resource = this.#table.get(name);
      if (onlyUrgent && this.#canWait(name, resource)) continue;
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
    for (const name of page.removed) this.#wide.delete(name);
    for (const { name, scope } of page.resources) {
      if (scope === 'workload') this.#wide.delete(name);
      else if (scope !== null) this.#wide.add(name);
    }
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
    for (const { resource, reason } of refused) {
      this.#refused.set(resource, reason);
      // It goes on with the version that it had.
      if (this.#table.get(resource)?.scope === 'workload') this.#wide.add(resource);
    }
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

// Pooled HBONE sessions: CONNECT streams to peer proxies over few TLS connections.
//
//   key       source identity | accepted identities | address        any peer
//   node key  source identity | destination identity | node          peers of ours, which say so in their 200
import { MeshError } from '../base/errors.ts';
import type { SessionOptions } from '../h2/session-options.ts';
import { DeadlineLists, Deadlines } from '../io/deadlines.ts';
import { Attempt, type AttemptOwner } from './attempt.ts';
import { PooledSession, type PooledSessionOwner } from './pooled-session.ts';
import type { Revocations } from './revoked.ts';
import type { TunnelOpened, TunnelPool, TunnelRequest } from './types.ts';

/** The limits are read when they are needed: the object may change them. */
export interface TunnelPoolOptions {
  /** Streams that one session carries at most, if the peer does not allow fewer. Default 100. */
  readonly streamsPerSession?: number;
  /** A session without a stream is closed after this. Default 5 min. */
  readonly idleReleaseMs?: number;
  /** Time between keepalive PINGs, and until a missing answer ends the session. Defaults 10 s and 20 s. */
  readonly pingIntervalMs?: number;
  readonly pingTimeoutMs?: number;
  /** Sessions at once; above it `open` answers LIMIT_REACHED. Default 4096. */
  readonly sessionsLimit?: number;
  /** What a stream may hold that nobody reads: the largest that its window grows to. Default 4 MiB. */
  readonly streamWindowBytes?: number;
  /** Certificates of peers that count no more. */
  readonly revocations?: Revocations;
  /** Whether the address is on this machine. Default: none is. */
  readonly isLocal?: (address: string) => boolean;
}

/** Returns a pool; one per data thread. It opens nothing before the first `open`. */
export function createTunnelPool(options: TunnelPoolOptions = {}): TunnelPool {
  return new HbonePool(options);
}

const defaults = { streamsPerSession: 100, idleReleaseMs: 300_000, sessionsLimit: 4096 } as const;

class HbonePool implements TunnelPool, PooledSessionOwner, AttemptOwner {
  readonly #options: TunnelPoolOptions;
  readonly #sessionOptions: Partial<SessionOptions>;
  readonly #idle: Deadlines;
  /** Attempts by the time they have. */
  readonly #deadlines = new DeadlineLists();
  /** Sessions that may take streams, now or once connected, by key and by node key. */
  readonly #groups = new Map<string, PooledSession[]>();
  /** All sessions, those too that only finish what they carry. */
  readonly #sessions = new Set<PooledSession>();
  readonly #waiting = new Map<PooledSession, Set<Attempt>>();
  readonly #attempts = new Set<Attempt>();
  #sessionsOpened = 0;
  #streamsOpened = 0;
  #draining = false;
  #onEmpty: (() => void) | null = null;

  constructor(options: TunnelPoolOptions) {
    this.#options = options;
    this.#idle = new Deadlines(options.idleReleaseMs ?? defaults.idleReleaseMs);
    this.#sessionOptions = {
      ...(options.pingIntervalMs === undefined ? {} : { pingIntervalMs: options.pingIntervalMs }),
      ...(options.pingTimeoutMs === undefined ? {} : { pingTimeoutMs: options.pingTimeoutMs }),
    };
  }

  get #streamsPerSession(): number {
    return this.#options.streamsPerSession ?? defaults.streamsPerSession;
  }

  open(request: TunnelRequest, callback: (error: MeshError | null, opened: TunnelOpened | null) => void): () => void {
    const attempt = new Attempt(request, this, callback);
    this.#attempts.add(attempt);
    this.#deadlines.of(request.timeoutMs).set(attempt);
    this.#dispatch(attempt, null);
    return () => attempt.cancel();
  }

  purgeWorkload(uid: string): void {
    for (const entry of [...this.#sessions]) if (entry.workloadUid === uid) this.#retire(entry);
  }

  recheck(): void {
    for (const entry of [...this.#sessions]) entry.recheck();
  }

  stats(): { sessions: number; streams: number; sessionsOpened: number; streamsOpened: number } {
    let streams = 0;
    for (const entry of this.#sessions) streams += entry.session?.streamCount ?? 0;
    return {
      sessions: this.#sessions.size,
      streams,
      sessionsOpened: this.#sessionsOpened,
      streamsOpened: this.#streamsOpened,
    };
  }

  drain(deadlineMs: number): Promise<void> {
    this.#draining = true;
    for (const entry of [...this.#sessions]) if (!entry.connecting) this.#retire(entry);
    if (this.#sessions.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, deadlineMs);
      this.#onEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  close(): void {
    this.#draining = true;
    for (const attempt of [...this.#attempts]) attempt.fail(new MeshError('DRAINED'));
    for (const entry of [...this.#sessions]) {
      entry.close();
      this.onGone(entry, null);
    }
    this.#idle.close();
    this.#deadlines.close();
  }

  // ---- told by sessions ----

  onConnected(entry: PooledSession): void {
    // Streams may follow at once, unless the peer has just shown that it allows fewer than we took for granted.
    if (!entry.cautious) this.#beginWaiting(entry);
  }

  onReady(entry: PooledSession): void {
    if (entry.cautious) this.#beginWaiting(entry);
  }

  #beginWaiting(entry: PooledSession): void {
    const waiting = this.#waiting.get(entry);
    this.#waiting.delete(entry);
    for (const attempt of waiting ?? []) this.#begin(attempt, entry);
    if (this.#draining) this.#retire(entry);
    else this.#considerIdle(entry);
  }

  onCapacity(entry: PooledSession): void {
    this.#considerIdle(entry);
  }

  onIdle(entry: PooledSession): void {
    if (entry.session?.streamCount === 0) entry.session.close();
  }

  onGone(entry: PooledSession, error: MeshError | null): void {
    this.#unlist(entry);
    if (error !== null || entry.session === null || entry.session.over) {
      this.#idle.lift(entry);
      this.#sessions.delete(entry);
    }
    const waiting = this.#waiting.get(entry);
    this.#waiting.delete(entry);
    for (const attempt of [...(waiting ?? [])]) {
      if (error !== null) attempt.fail(error);
      else this.#dispatch(attempt, entry);
    }
    if (this.#sessions.size === 0) this.#onEmpty?.();
  }

  // ---- told by attempts ----

  servesNode(entry: PooledSession): void {
    if (entry.nodeKey !== '' || entry.node === '' || entry.session?.retired !== false) return;
    entry.nodeKey = nodeKey(entry.sourceIdentity, entry.peerIdentity, entry.node);
    this.#list(entry.nodeKey, entry);
  }

  retry(attempt: Attempt, entry: PooledSession): void {
    this.#dispatch(attempt, entry);
  }

  settled(attempt: Attempt): void {
    this.#attempts.delete(attempt);
    if (attempt.entry !== null) this.#waiting.get(attempt.entry)?.delete(attempt);
  }

  // ---- inside ----

  /**
   * Finds a session for `attempt`: one that has room, one that is connecting, a new one. `avoid` has just refused it.
   */
  #dispatch(attempt: Attempt, avoid: PooledSession | null): void {
    if (this.#draining) {
      attempt.fail(new MeshError('DRAINED'));
      return;
    }
    const { request } = attempt;
    const shared = this.#pick(this.#ofNode(request), request, avoid);
    if (shared !== null) {
      this.#begin(attempt, shared);
      return;
    }
    const key = keyOf(request);
    const entry = this.#pick(this.#group(key), request, avoid) ?? this.#connecting(request, key);
    if (entry !== null && !entry.connecting) {
      this.#begin(attempt, entry);
      return;
    }
    if (entry !== null) {
      attempt.entry = entry;
      this.#waiting.get(entry)!.add(attempt);
      return;
    }
    const sessionsLimit = this.#options.sessionsLimit ?? defaults.sessionsLimit;
    if (this.#sessions.size >= sessionsLimit) {
      const details = { limit: 'openedSessionsMax', value: sessionsLimit, what: request.credentials.identity };
      attempt.fail(new MeshError('LIMIT_REACHED', details));
      return;
    }
    this.#connect(attempt, key, avoid !== null);
  }

  #connect(attempt: Attempt, key: string, cautious: boolean): void {
    const { request } = attempt;
    const entry = new PooledSession(key, request, this, this.#options.revocations);
    entry.cautious = cautious;
    attempt.entry = entry;
    this.#sessions.add(entry);
    this.#sessionsOpened++;
    this.#waiting.set(entry, new Set([attempt]));
    this.#list(key, entry);
    const { streamWindowBytes: streamWindowMaxBytes } = this.#options;
    const windows = streamWindowMaxBytes === undefined ? {} : { streamWindowMaxBytes };
    const options = { ...this.#sessionOptions, ...windows, streamsLimit: this.#streamsPerSession };
    entry.connect(request, this.#options.isLocal?.(request.host) ?? false, options);
  }

  #begin(attempt: Attempt, entry: PooledSession): void {
    if (attempt.done) return;
    if (attempt.begin(entry)) this.#streamsOpened++;
    else this.#dispatch(attempt, entry);
  }

  /** Sessions that serve every pod of the destination's identity on its node. */
  #ofNode({ acceptIdentities, credentials, node }: TunnelRequest): readonly PooledSession[] {
    // The certificate proves one identity: only the pods of that very identity are behind it.
    return node === '' ? noSessions : this.#group(nodeKey(credentials.identity, acceptIdentities[0] ?? '', node));
  }

  #pick(group: readonly PooledSession[], request: TunnelRequest, avoid: PooledSession | null): PooledSession | null {
    const { generation } = request.credentials;
    const isStale = (entry: PooledSession): boolean => entry.generation < generation && !entry.connecting;
    // The certificate was renewed: what runs goes on, what is new takes the new one.
    if (group.some(isStale)) for (const entry of group.filter(isStale)) this.#retire(entry);
    const fits = (entry: PooledSession): boolean => entry !== avoid && entry.generation === generation && entry.canOpen;
    return group.find(fits) ?? null;
  }

  #connecting(request: TunnelRequest, key: string): PooledSession | null {
    for (const entry of this.#group(key)) {
      if (!entry.connecting || entry.generation !== request.credentials.generation) continue;
      if (this.#waiting.get(entry)!.size < this.#streamsPerSession) return entry;
    }
    return null;
  }

  /** No new streams; the session ends when the last one has. */
  #retire(entry: PooledSession): void {
    this.#unlist(entry);
    if (entry.session !== null) {
      entry.session.drain();
    } else {
      entry.close();
      this.#sessions.delete(entry);
      const waiting = this.#waiting.get(entry);
      this.#waiting.delete(entry);
      for (const attempt of waiting ?? []) this.#dispatch(attempt, entry);
    }
  }

  #considerIdle(entry: PooledSession): void {
    if (entry.session?.streamCount === 0 && !entry.session.retired) this.#idle.set(entry);
  }

  #group(key: string): readonly PooledSession[] {
    return this.#groups.get(key) ?? noSessions;
  }

  #list(key: string, entry: PooledSession): void {
    const group = this.#groups.get(key);
    if (group === undefined) this.#groups.set(key, [entry]);
    else group.push(entry);
  }

  #unlist(entry: PooledSession): void {
    for (const key of [entry.key, entry.nodeKey]) {
      const group = this.#groups.get(key);
      const at = group?.indexOf(entry) ?? -1;
      if (at < 0) continue;
      group!.splice(at, 1);
      if (group!.length === 0) this.#groups.delete(key);
    }
  }
}

const noSessions: readonly PooledSession[] = [];

function keyOf(request: TunnelRequest): string {
  return `${request.credentials.identity}|${request.acceptIdentities.join(',')}|${request.host}|${request.port}`;
}

function nodeKey(source: string, destination: string, node: string): string {
  return `${source}|${destination}|node ${node}`;
}

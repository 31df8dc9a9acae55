// Follows a controller: one delta discovery stream, kept open for ever. What arrives is decoded to the model, handed to
// `apply`, and acknowledged; what cannot be taken is refused by name and changes nothing. Sits between the controller
// and the node proxy's tables.
//
//   start ──▶ connecting ──▶ streaming ──(end, error)──▶ backing off ──▶ connecting …
import { EventEmitter } from 'node:events';
import { create } from '@bufbuild/protobuf';
import { createClient, type Transport } from '@connectrpc/connect';
import { Backoff } from '../base/backoff.ts';
import { type Clock, pause } from '../base/clock.ts';
import { MeshError } from '../base/errors.ts';
import type { MeshUpdate } from '../model/types.ts';
import type { NodeFinding } from '../model/views.ts';
import { AsyncQueue } from './async-queue.ts';
import { type ControllerAccess, callHeaders, openChannel, readSmallFile, rootCauseOf } from './channel.ts';
import {
  AggregatedDiscoveryService,
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
} from './generated/ads_pb.ts';
import { HeldResources, type HeldVersions } from './held-resources.ts';
import { type ProxyNode, proxyNodeMessage } from './proxy-node.ts';
import { type RefusedResource, refusalStatus } from './refusals.ts';
import { commonTypes, moreSuffix, type TypeUrl, typeOrder, typeUrls } from './resources.ts';

export interface DiscoveryClientOptions extends ControllerAccess {
  readonly node: ProxyNode;
  /** What an earlier run left on disk, as `heldVersions()` gave it; `{}` for a fresh start. */
  readonly held: HeldVersions;
  /**
   * Takes a change into use and returns what of it cannot be (by resource name). Called for one change at a time, in
   * order: policies before the workloads that name them.
   */
  readonly apply: (update: MeshUpdate) => readonly RefusedResource[] | Promise<readonly RefusedResource[]>;
  /** Uses the same connection for as long as the stream lives: until `signal` aborts. */
  readonly attend?: (transport: Transport, headers: Readonly<Record<string, string>>, signal: AbortSignal) => void;
  readonly clock: Clock;
  /** 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
}

export interface DiscoveryState {
  readonly connected: boolean;
  /** RFC 3339: since when it is connected, or not. */
  readonly since: string;
  readonly lastUpdateAt: string | null;
  readonly lastError: string | null;
  /** The whole mesh has been received and applied at least once since `start`. */
  readonly synced: boolean;
}

interface ClientEvents {
  /** Something in `state()` changed other than `lastUpdateAt`. */
  state: [DiscoveryState];
  /** Once: the first whole mesh has been applied. */
  synced: [];
}

const backoffFirstMs = 10;
const backoffCapMs = 15_000;
const backoffJitter = 0.3;

/** Follows one controller from `start` to `close`; emits `state` and, once, `synced`. */
export class DiscoveryClient extends EventEmitter<ClientEvents> {
  readonly #options: DiscoveryClientOptions;
  readonly #held: HeldResources;
  readonly #backoff: Backoff;
  readonly #abort = new AbortController();
  readonly #completeTypes = new Set<string>();
  #running: Promise<void> | null = null;
  #requests: AsyncQueue<DeltaDiscoveryRequest> | null = null;
  #findings: readonly NodeFinding[] = [];
  #state: DiscoveryState;

  constructor(options: DiscoveryClientOptions) {
    super();
    this.#options = options;
    this.#held = new HeldResources(options.held);
    const { random } = options;
    this.#backoff = new Backoff({ firstMs: backoffFirstMs, capMs: backoffCapMs, jitter: backoffJitter, random });
    const since = this.#timestamp();
    this.#state = { connected: false, since, lastUpdateAt: null, lastError: null, synced: false };
  }

  /** Begins to follow the controller, and does so until `close`. Failures show in `state()`, never as an exception. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends the stream. Resolves when nothing is applied any more. Idempotent. */
  async close(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  /** Tells the controller what of this node stands in the way, now and on each stream from now on. */
  report(findings: readonly NodeFinding[]): void {
    this.#findings = findings;
    const node = proxyNodeMessage(this.#options.node, findings);
    this.#requests?.push(create(DeltaDiscoveryRequestSchema, { typeUrl: typeUrls.nodes, node }));
  }

  state(): DiscoveryState {
    return this.#state;
  }

  /**
   * Versions of everything applied, by type and name: kept on disk beside the mesh, so that a restart gets only
   * differences.
   */
  heldVersions(): HeldVersions {
    return this.#held.versions();
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        await this.#follow(signal);
      } catch (error) {
        if (signal.aborted) break;
        this.#update({ connected: false, lastError: rootCauseOf(error) });
      }
      if (!signal.aborted) await pause(this.#options.clock, this.#backoff.next(), signal);
    }
    this.#update({ connected: false });
  }

  /** One stream from beginning to end. Always throws, since a stream that ends is a failure to follow. */
  async #follow(signal: AbortSignal): Promise<never> {
    const { url, rootsFile, node } = this.#options;
    const channel = await openChannel(url, await readSmallFile(rootsFile));
    const requests = new AsyncQueue<DeltaDiscoveryRequest>();
    const ended = new AbortController();
    const stop = (): void => {
      ended.abort();
      requests.end();
      channel.close();
    };
    signal.addEventListener('abort', stop, { once: true });
    try {
      if (signal.aborted)
        throw new MeshError('NOT_REACHABLE', { what: url, reason: 'closed', hint: 'it was closed here' });
      const headers = await callHeaders(this.#options, node.clusterId);
      for (const request of this.#subscriptions()) requests.push(request);
      this.#requests = requests;
      const client = createClient(AggregatedDiscoveryService, channel.transport);
      this.#options.attend?.(channel.transport, headers, ended.signal);
      for await (const response of client.deltaAggregatedResources(requests, { headers, signal })) {
        if (signal.aborted) break;
        this.#update({ connected: true, lastError: null });
        requests.push(await this.#take(response));
        this.#backoff.reset();
        this.#noteComplete(response);
      }
    } finally {
      signal.removeEventListener('abort', stop);
      this.#requests = null;
      stop();
    }
    const hint = 'it may be restarting; this proxy keeps what it has and comes back by itself';
    throw new MeshError('NOT_REACHABLE', { what: url, reason: 'the controller ended the stream', hint });
  }

  #subscriptions(): DeltaDiscoveryRequest[] {
    return this.#types().map((typeUrl, index) => {
      const initialResourceVersions = this.#held.versionsOf(typeUrl);
      const request = create(DeltaDiscoveryRequestSchema, { typeUrl, initialResourceVersions });
      if (index === 0) request.node = proxyNodeMessage(this.#options.node, this.#findings);
      return request;
    });
  }

  get #isWaypoint(): boolean {
    return this.#options.node.kind === 'waypoint';
  }

  #types(): TypeUrl[] {
    const others = this.#isWaypoint ? typeUrls.nodes : typeUrls.routes;
    return typeOrder.filter((typeUrl) => typeUrl !== others);
  }

  /** Applies what is good in `response` and returns the acknowledgement, or the refusal that names what is not. */
  async #take(response: DeltaDiscoveryResponse): Promise<DeltaDiscoveryRequest> {
    const { typeUrl, nonce } = response;
    const decoded = this.#held.decode(response);
    const refused = [...decoded.refused, ...(await this.#options.apply(decoded.update))];
    this.#held.accept(response, refused);
    this.#state = { ...this.#state, lastUpdateAt: this.#timestamp() };
    const answer = create(DeltaDiscoveryRequestSchema, { typeUrl, responseNonce: nonce });
    if (refused.length > 0) answer.errorDetail = refusalStatus(refused);
    return answer;
  }

  #noteComplete(response: DeltaDiscoveryResponse): void {
    if (response.systemVersionInfo.endsWith(moreSuffix)) return;
    this.#completeTypes.add(response.typeUrl);
    // What is Ambient's own comes before these, or not at all when the controller is a foreign one.
    const needed = this.#isWaypoint ? [...commonTypes, typeUrls.routes] : commonTypes;
    if (this.#state.synced || !needed.every((typeUrl) => this.#completeTypes.has(typeUrl))) return;
    this.#update({ synced: true });
    this.emit('synced');
  }

  #update(change: Partial<DiscoveryState>): void {
    const before = this.#state;
    const isTurn = change.connected !== undefined && change.connected !== before.connected;
    this.#state = { ...before, ...change, since: isTurn ? this.#timestamp() : before.since };
    const after = this.#state;
    const isSame = before.lastError === after.lastError && before.synced === after.synced;
    if (isTurn || !isSame) this.emit('state', after);
  }

  #timestamp(): string {
    return new Date(this.#options.clock.now()).toISOString();
  }
}

// One proxy's stream on the controller's side: its subscriptions, and the order in which their responses go out.
// Policies come before the workloads that name them, and go after the workloads that named them: at no time does a
// proxy know a workload without its policies. A policy that turns from a namespace's to that of selected workloads
// comes after them: until they are known to name it, it goes on judging all.
import { create } from '@bufbuild/protobuf';
import type { NodeFinding } from '../model/views.ts';
import {
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
  type Resource,
  ResourceSchema,
} from './generated/ads_pb.ts';
import { findingsOf, type ProxyNode } from './proxy-node.ts';
import type { ResourceTable } from './resource-table.ts';
import { commonTypes, type EncodedResource, moreSuffix, type TypeUrl, typeOrder, typeUrls } from './resources.ts';
import { type Page, Subscription } from './subscription.ts';

export interface StreamObserver {
  pushed(typeUrl: TypeUrl, resources: number): void;
  answered(typeUrl: TypeUrl, durationMs: number, refused: number): void;
}

export type Tables = ReadonlyMap<TypeUrl, ResourceTable>;

/** Requests go in by `receive`, responses come out of `next`; knows nothing of sockets. */
export class ProxyStream {
  readonly node: ProxyNode;
  /** What the proxy has said of its node. */
  findings: readonly NodeFinding[] = [];
  readonly #tables: Tables;
  readonly #now: () => number;
  readonly #observer: StreamObserver;
  readonly #subscriptions = new Map<TypeUrl, Subscription>();
  readonly #connectedMs: number;
  #nonces = 0;
  #wake: (() => void) | null = null;
  #end: 'open' | 'ended' | 'tooFarBehind' = 'open';

  constructor(node: ProxyNode, tables: Tables, now: () => number, observer: StreamObserver) {
    this.node = node;
    this.#tables = tables;
    this.#now = now;
    this.#observer = observer;
    this.#connectedMs = now();
  }

  /**
   * Takes a request of the proxy: a subscription, or an answer to a response. Types that we do not serve are ignored.
   */
  receive(request: DeltaDiscoveryRequest): void {
    if (request.node !== undefined) this.findings = findingsOf(request.node);
    const typeUrl = typeOrder.find((known) => known === request.typeUrl);
    const table = typeUrl === undefined ? undefined : this.#tables.get(typeUrl);
    if (typeUrl === undefined || table === undefined) return;
    const subscription = this.#subscriptions.get(typeUrl);
    if (subscription === undefined) {
      const held = request.initialResourceVersions;
      this.#subscriptions.set(typeUrl, new Subscription(typeUrl, table, held, this.#now()));
    } else {
      if (request.responseNonce !== '') {
        const answer = subscription.answer(request, this.#now());
        if (answer !== null) this.#observer.answered(typeUrl, answer.durationMs, answer.refused.length);
      }
      // Everything is followed anyway; whoever asks by name is answered by name (delta discovery: always respond).
      const names = request.resourceNamesSubscribe.filter((name) => name !== '*');
      if (names.length > 0) subscription.resend(names);
    }
    this.wake();
  }

  /** The tables have changed: marks what is behind. Follow it with `wake` when the change is to be sent. */
  noteChange(): void {
    for (const subscription of this.#subscriptions.values()) subscription.noteChange(this.#now());
  }

  wake(): void {
    this.#wake?.();
  }

  /** The next response once there is one; null when the stream is over. One caller at a time. */
  async next(): Promise<DeltaDiscoveryResponse | null> {
    while (this.#end === 'open') {
      const response = this.#pick();
      if (response !== null) return response;
      if (this.#end !== 'open') break;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = null;
    }
    return null;
  }

  end(): void {
    if (this.#end === 'open') this.#end = 'ended';
    this.wake();
  }

  /** True when the proxy lay so far back that it has to begin anew. */
  get isTooFarBehind(): boolean {
    return this.#end === 'tooFarBehind';
  }

  /** It follows every type that it must, and has had all of each that it follows once. */
  get isReady(): boolean {
    return this.#followed().every((typeUrl) => this.#subscriptions.get(typeUrl)?.hasAnswered === true);
  }

  /**
   * Since when something is not applied; null when in step. A type not yet asked for counts from the stream's begin.
   */
  get behindSinceMs(): number | null {
    const since = this.#followed().map((typeUrl) => {
      const subscription = this.#subscriptions.get(typeUrl);
      return subscription === undefined ? this.#connectedMs : subscription.behindSinceMs;
    });
    const behind = since.filter((ms) => ms !== null);
    return behind.length === 0 ? null : Math.min(...behind);
  }

  typeViews(): ReturnType<Subscription['view']>[] {
    return [...this.#subscriptions.values()].map((subscription) => subscription.view());
  }

  #followed(): TypeUrl[] {
    return typeOrder.filter((typeUrl) => commonTypes.includes(typeUrl) || this.#subscriptions.has(typeUrl));
  }

  #pick(): DeltaDiscoveryResponse | null {
    const revocations = this.#subscriptions.get(typeUrls.revocation);
    const nodes = this.#subscriptions.get(typeUrls.nodes);
    const policies = this.#subscriptions.get(typeUrls.authorization);
    const routes = this.#subscriptions.get(typeUrls.routes);
    const addresses = this.#subscriptions.get(typeUrls.address);
    for (const subscription of [revocations, nodes, policies, routes, addresses]) {
      if (subscription?.catchUp() === false) {
        this.#end = 'tooFarBehind';
        return null;
      }
    }
    const revocationPage = revocations?.nextPage(false) ?? null;
    if (revocations !== undefined && revocationPage !== null) return this.#send(revocations, revocationPage);
    const nodePage = nodes?.nextPage(false) ?? null;
    if (nodes !== undefined && nodePage !== null) return this.#send(nodes, nodePage);
    const policyPage = policies?.nextPage(addresses?.hasWork !== false) ?? null;
    if (policies !== undefined && policyPage !== null) return this.#send(policies, policyPage);
    const routePage = routes?.nextPage(addresses?.hasWork !== false) ?? null;
    if (routes !== undefined && routePage !== null) return this.#send(routes, routePage);
    if (addresses === undefined || policies?.hasUrgent === true || routes?.hasUrgent === true) return null;
    const addressPage = addresses.nextPage(false);
    return addressPage === null ? null : this.#send(addresses, addressPage);
  }

  #send(subscription: Subscription, page: Page): DeltaDiscoveryResponse {
    const { typeUrl } = subscription;
    const nonce = String(++this.#nonces);
    subscription.sent(page, nonce, this.#now());
    this.#observer.pushed(typeUrl, page.resources.length + page.removed.length);
    return create(DeltaDiscoveryResponseSchema, {
      systemVersionInfo: page.hasMore ? `${page.version}${moreSuffix}` : page.version,
      resources: page.resources.map((resource) => wireResource(typeUrl, resource)),
      typeUrl,
      nonce,
      removedResources: [...page.removed],
    });
  }
}

function wireResource(typeUrl: TypeUrl, resource: EncodedResource): Resource {
  const { name, version, bytes, aliases } = resource;
  return create(ResourceSchema, { name, version, aliases: [...aliases], resource: { typeUrl, value: bytes } });
}

// Serves the mesh to proxies over delta discovery (gRPC, bidirectional stream): takes model changes, sends every proxy
// what it lacks, and knows of each what it applied, since when it is behind, and what it refused and why.
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from '@connectrpc/connect';
import type { Clock } from '../base/clock.ts';
import { revocationKey } from '../model/revocation.ts';
import type { MeshUpdate } from '../model/types.ts';
import type { ProxyView } from '../model/views.ts';
import {
  AggregatedDiscoveryService,
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
} from './generated/ads_pb.ts';
import { type Attendant, type ProxyNode, proxyNodeOf } from './proxy-node.ts';
import { ProxyStream, type StreamObserver, type Tables } from './proxy-stream.ts';
import { ResourceTable } from './resource-table.ts';
import {
  type EncodedResource,
  encodeNode,
  encodePolicy,
  encodeRevocation,
  encodeService,
  encodeWorkload,
  type TypeUrl,
  typeUrls,
} from './resources.ts';
import { RouteTables } from './route-tables.ts';

export interface DiscoveryServerOptions {
  readonly clock: Clock;
  /**
   * Looks at the headers of a call before anything of the stream is read, and returns what decides about the caller by
   * who it says it is. That returns who it is. Both throw a ConnectError that tells no more than it should.
   */
  readonly authenticate: (headers: Headers) => Admission | Promise<Admission>;
  readonly observer: StreamObserver;
  /** True while a proxy that is not connected is still missed; when false it is forgotten. */
  readonly isExpected: (proxy: ProxyNode) => boolean;
  /** Streams at once. */
  readonly proxiesMax?: number;
}

/** Who a caller is that says it is `claimed`. */
export type Admission = (claimed: Attendant) => ProxyNode;

interface Known {
  node: ProxyNode;
  /** Newest last, and that one is shown. While a proxy is replaced by another of its name there are two for a while. */
  streams: readonly ProxyStream[];
  /** When the last stream ended. */
  goneMs: number;
  types: ProxyView['types'];
}

/** After a quiet time a change goes out at once, with what comes in the same breath. */
const promptMs = 2;
/** Between two pushes: changes that come closer together go out as one. */
const coalesceMs = 20;
const proxiesMaxDefault = 5_000;
/** Connections that died unseen are found by PING; until then a proxy that reconnects has more than one. */
const streamsPerProxyMax = 4;
const firstRequestTimeoutMs = 10_000;
/** A reconnecting proxy names everything it holds: about 100 bytes each. */
const requestBytesMax = 32 * 1024 * 1024;

/** The mesh as proxies get it, and what is known of each proxy. */
export class DiscoveryServer {
  readonly #options: DiscoveryServerOptions;
  readonly #addresses = new ResourceTable();
  readonly #policies = new ResourceTable();
  readonly #revocations = new ResourceTable();
  readonly #nodes = new ResourceTable();
  readonly #routes = new RouteTables();
  readonly #tables: ReadonlyMap<TypeUrl, ResourceTable> = new Map([
    [typeUrls.address, this.#addresses],
    [typeUrls.authorization, this.#policies],
    [typeUrls.revocation, this.#revocations],
    [typeUrls.nodes, this.#nodes],
  ]);
  readonly #streams = new Set<ProxyStream>();
  readonly #known = new Map<string, Known>();
  #cancelPush: (() => void) | null = null;
  #pushedMs = 0;
  #isClosed = false;

  constructor(options: DiscoveryServerOptions) {
    this.#options = options;
  }

  /** Takes a change of the mesh. It goes out within 50 ms; equal content is sent to nobody. */
  update(update: MeshUpdate): void {
    if (update.complete) this.#removeAllBut(update);
    let hasChanged = false;
    const put = (table: ResourceTable, resource: EncodedResource): void => {
      hasChanged = table.upsert(resource) || hasChanged;
    };
    for (const revocation of update.revocations ?? []) put(this.#revocations, encodeRevocation(revocation));
    for (const node of update.nodes ?? []) put(this.#nodes, encodeNode(node));
    for (const policy of update.policies) put(this.#policies, encodePolicy(policy));
    for (const service of update.services) put(this.#addresses, encodeService(service));
    for (const workload of update.workloads) put(this.#addresses, encodeWorkload(workload));
    for (const name of update.removedAddresses) hasChanged = this.#addresses.remove(name) || hasChanged;
    for (const name of update.removedPolicies) hasChanged = this.#policies.remove(name) || hasChanged;
    for (const name of update.removedRevocations ?? []) hasChanged = this.#revocations.remove(name) || hasChanged;
    for (const name of update.removedNodes ?? []) hasChanged = this.#nodes.remove(name) || hasChanged;
    hasChanged = this.#routes.update(update) || hasChanged;
    if (hasChanged || update.complete) this.#schedulePush();
  }

  /** Adds the service to a router of connect. */
  routes(router: ConnectRouter): void {
    const implementation = {
      deltaAggregatedResources: (requests: AsyncIterable<DeltaDiscoveryRequest>, context: HandlerContext) =>
        this.#serve(requests, context),
    };
    router.service(AggregatedDiscoveryService, implementation, { readMaxBytes: requestBytesMax });
  }

  /** Every proxy that is connected, or missed, ordered by name. */
  proxies(): ProxyView[] {
    for (const [key, known] of this.#known) {
      if (known.streams.length === 0 && !this.#options.isExpected(known.node)) this.#known.delete(key);
    }
    return [...this.#known.values()].sort((a, b) => (a.node.name < b.node.name ? -1 : 1)).map(proxyView);
  }

  get connected(): number {
    return this.#streams.size;
  }

  /** How many resources are served, by type. */
  sizes(): { readonly addresses: number; readonly policies: number } {
    return { addresses: this.#addresses.size, policies: this.#policies.size };
  }

  /** Ends every stream; proxies keep what they have and look for another replica. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#cancelPush?.();
    for (const stream of this.#streams) stream.end();
  }

  async *#serve(
    requests: AsyncIterable<DeltaDiscoveryRequest>,
    context: HandlerContext,
  ): AsyncIterable<DeltaDiscoveryResponse> {
    if (this.#isClosed) throw new ConnectError('shutting down', Code.Unavailable);
    const admit = await this.#options.authenticate(context.requestHeader);
    if (this.#streams.size >= (this.#options.proxiesMax ?? proxiesMaxDefault)) {
      throw new ConnectError('too many proxies', Code.ResourceExhausted);
    }
    const iterator = requests[Symbol.asyncIterator]();
    const first = await firstWithin(iterator, firstRequestTimeoutMs);
    const node = admit(proxyNodeOf(first.node));
    const stream = this.#open(node);
    stream.receive(first);
    context.signal.addEventListener('abort', () => stream.end(), { once: true });
    void pump(iterator, stream);
    try {
      for (let response = await stream.next(); response !== null; response = await stream.next()) yield response;
      if (stream.isTooFarBehind) throw new ConnectError('too far behind; begin anew', Code.Aborted);
    } finally {
      this.#forget(stream);
    }
  }

  #open(node: ProxyNode): ProxyStream {
    const { clock, observer } = this.#options;
    const stream = new ProxyStream(node, this.#tablesFor(node), () => clock.now(), observer);
    const key = keyOf(node);
    const earlier = this.#known.get(key)?.streams ?? [];
    this.#known.set(key, { node, streams: [...earlier, stream], goneMs: 0, types: [] });
    this.#streams.add(stream);
    for (const other of earlier) {
      // The same run has come back before its old connection was seen to die; another run may overlap for a while.
      const isSameRun = node.instance !== undefined && node.instance !== '' && other.node.instance === node.instance;
      if (isSameRun) other.end();
    }
    if (earlier.length >= streamsPerProxyMax) earlier[0]?.end();
    return stream;
  }

  #tablesFor({ waypoint }: ProxyNode): Tables {
    if (waypoint === undefined) return this.#tables;
    return new Map([...this.#tables, [typeUrls.routes, this.#routes.of(waypoint)]]);
  }

  #forget(stream: ProxyStream): void {
    stream.end();
    this.#streams.delete(stream);
    const known = this.#known.get(keyOf(stream.node));
    if (known === undefined) return;
    known.streams = known.streams.filter((other) => other !== stream);
    const latest = known.streams.at(-1);
    known.node = (latest ?? stream).node;
    if (latest !== undefined) return;
    known.types = stream.typeViews();
    known.goneMs = this.#options.clock.now();
  }

  #removeAllBut(update: MeshUpdate): void {
    const addresses = new Set([
      ...update.workloads.map((workload) => workload.uid),
      ...update.services.map((service) => `${service.namespace}/${service.hostname}`),
    ]);
    const policies = new Set(update.policies.map((policy) => `${policy.namespace}/${policy.name}`));
    for (const name of [...this.#addresses.names()]) if (!addresses.has(name)) this.#addresses.remove(name);
    for (const name of [...this.#policies.names()]) if (!policies.has(name)) this.#policies.remove(name);
    if (update.nodes !== undefined) {
      const nodes = new Set(update.nodes.map(({ name }) => name));
      for (const name of [...this.#nodes.names()]) if (!nodes.has(name)) this.#nodes.remove(name);
    }
    if (update.revocations === undefined) return;
    const revocations = new Set(update.revocations.map(revocationKey));
    for (const name of [...this.#revocations.names()]) if (!revocations.has(name)) this.#revocations.remove(name);
  }

  #schedulePush(): void {
    for (const stream of this.#streams) stream.noteChange();
    if (this.#cancelPush !== null || this.#isClosed) return;
    const { clock } = this.#options;
    const waitMs = Math.max(promptMs, Math.min(coalesceMs, this.#pushedMs + coalesceMs - clock.now()));
    this.#cancelPush = clock.after(waitMs, () => {
      this.#cancelPush = null;
      this.#pushedMs = clock.now();
      for (const stream of this.#streams) stream.wake();
    });
  }
}

function keyOf(node: ProxyNode): string {
  return `${node.kind}/${node.namespace}/${node.name}`;
}

function proxyView(known: Known): ProxyView {
  const { node } = known;
  const stream = known.streams.at(-1);
  const behindMs = stream === undefined ? known.goneMs : stream.behindSinceMs;
  return {
    kind: node.kind,
    name: node.name,
    node: node.nodeName,
    version: node.version,
    ready: stream?.isReady === true,
    inStep: behindMs === null,
    connected: stream !== undefined,
    behindSince: behindMs === null ? null : new Date(behindMs).toISOString(),
    ...(stream === undefined || stream.findings.length === 0 ? {} : { findings: stream.findings }),
    types: stream === undefined ? known.types : stream.typeViews(),
  };
}

async function firstWithin(
  iterator: AsyncIterator<DeltaDiscoveryRequest>,
  timeoutMs: number,
): Promise<DeltaDiscoveryRequest> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), timeoutMs);
  });
  const first = await Promise.race([iterator.next(), timeout]);
  clearTimeout(timer);
  if (first === null || first.done === true) throw new ConnectError('no request came', Code.DeadlineExceeded);
  return first.value;
}

/** Reads what the proxy says until it stops; its end is the stream's end. */
async function pump(iterator: AsyncIterator<DeltaDiscoveryRequest>, stream: ProxyStream): Promise<void> {
  try {
    for (let item = await iterator.next(); item.done !== true; item = await iterator.next()) stream.receive(item.value);
  } catch {
    // The connection broke: the same end, less politely.
  } finally {
    stream.end();
  }
}

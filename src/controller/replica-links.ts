// What ties the replicas of a controller together: each knows only the proxies that are connected to it, so each keeps
// a stream of questions open to every other one, as proxies do, and answers for its own proxies there. For the page.
import { isIPv6 } from 'node:net';
import { decodeJwt } from 'jose';
import { type Clock, pause } from '../base/clock.ts';
import { isMeshError, MeshError, messageOf } from '../base/errors.ts';
import { callHeaders, openChannel, readSmallFile } from '../discovery/channel.ts';
import { ObserveClient } from '../discovery/observe-client.ts';
import type { MeshUpdate, Workload } from '../model/types.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Routes } from '../telemetry/metrics-server.ts';

export interface ReplicaLinksOptions {
  /** `NAMESPACE/SERVICEACCOUNT` of every replica. */
  readonly account: string;
  /** A token of this replica, bound to its pod. */
  readonly tokenFile: string;
  /** A name that every replica's certificate has. */
  readonly serverName: string;
  readonly clusterId: string;
  readonly version: string;
  readonly rootsPem: () => readonly string[];
  /** What the others may ask. */
  readonly routes: Routes;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A pod of the controller. */
interface ReplicaPod {
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  readonly address: string;
  readonly ready: boolean;
}

/** Questions of one replica at once: two for each proxy that it watches. */
export const replicaQuestionsMax = 20_000;
const againFirstMs = 1_000;
const againMaxMs = 30_000;

/** Follows updates of the mesh from the beginning, and links from `start` to `close`. */
export class ReplicaLinks {
  readonly #options: ReplicaLinksOptions;
  readonly #pods = new Map<string, ReplicaPod>();
  readonly #links = new Map<string, AbortController>();
  /** Null until `start`. */
  #port: number | null = null;
  #own = '';

  constructor(options: ReplicaLinksOptions) {
    this.#options = options;
  }

  /** What changed in the mesh. */
  take({ workloads, removedAddresses }: Pick<MeshUpdate, 'workloads' | 'removedAddresses'>): void {
    for (const workload of workloads) {
      const pod = this.#replicaOf(workload);
      if (pod === null) this.#pods.delete(workload.uid);
      else this.#pods.set(workload.uid, pod);
    }
    for (const uid of removedAddresses) this.#pods.delete(uid);
    this.#link();
  }

  /** Links to the others, which listen on the port that this one does. */
  start(port: number): void {
    this.#port = port;
    this.#link();
  }

  /** `NAMESPACE/NAME` of the others that are ready. */
  others(): readonly string[] {
    return [...this.#pods.values()]
      .filter(({ ready }) => ready)
      .map(nameOf)
      .filter((name) => name !== this.own)
      .sort();
  }

  /** `NAMESPACE/NAME` of this one; '' while it is not known. */
  get own(): string {
    return this.#own;
  }

  /** Idempotent. */
  close(): void {
    this.#port = null;
    for (const link of this.#links.values()) link.abort();
    this.#links.clear();
  }

  /** Begins links to who is new, and ends those to who has gone. */
  #link(): void {
    if (this.#port === null) return;
    const wanted = new Map([...this.#pods.values()].map((pod) => [`${nameOf(pod)} ${pod.address}`, pod]));
    for (const [key, link] of this.#links) {
      if (wanted.has(key)) continue;
      link.abort();
      this.#links.delete(key);
    }
    for (const [key, pod] of wanted) {
      if (this.#links.has(key)) continue;
      const link = new AbortController();
      this.#links.set(key, link);
      void this.#keep(pod, link.signal);
    }
  }

  async #keep(pod: ReplicaPod, signal: AbortSignal): Promise<void> {
    let waitMs = againFirstMs;
    while (!signal.aborted) {
      try {
        // Which one this is may be said by its token later than its pod is known.
        if (this.#own === '') this.#own = await podOfToken(this.#options.tokenFile);
        if (nameOf(pod) === this.#own) return;
        await this.#attend(pod, signal);
        waitMs = againFirstMs;
      } catch (error) {
        if (signal.aborted) return;
        this.#options.log.debug({ replica: nameOf(pod), reason: messageOf(error) }, 'no link to another replica');
        waitMs = Math.min(waitMs * 2, againMaxMs);
      }
      await pause(this.#options.clock, waitMs, signal);
    }
  }

  /** Until the stream ends. */
  async #attend({ address }: ReplicaPod, signal: AbortSignal): Promise<void> {
    const { tokenFile, clusterId, serverName, rootsPem, routes, version } = this.#options;
    const own = [...this.#pods.values()].find((pod) => nameOf(pod) === this.#own);
    if (own === undefined) throw new MeshError('NOT_FOUND', { what: `pod ${this.#own}`, hint: 'it is not known yet' });
    const url = `https://${isIPv6(address) ? `[${address}]` : address}:${this.#port}`;
    const { namespace, name, node: nodeName } = own;
    const node = {
      kind: 'controller',
      namespace,
      name,
      nodeName,
      addresses: [own.address],
      clusterId,
      version,
    } as const;
    const channel = await openChannel(url, rootsPem().join(''), { serverName });
    const close = (): void => channel.close();
    signal.addEventListener('abort', close, { once: true });
    try {
      const headers = await callHeaders({ url, rootsFile: '', tokenFile }, clusterId);
      await new ObserveClient(node, routes, replicaQuestionsMax).attendOnce(channel.transport, headers, signal);
    } finally {
      signal.removeEventListener('abort', close);
      close();
    }
  }

  #replicaOf({ namespace, name, serviceAccount, node, addresses, healthy }: Workload): ReplicaPod | null {
    const [address] = addresses;
    if (`${namespace}/${serviceAccount}` !== this.#options.account || node === '' || address === undefined) return null;
    return { namespace, name, node, address, ready: healthy };
  }
}

const nameOf = ({ namespace, name }: ReplicaPod): string => `${namespace}/${name}`;

/** `NAMESPACE/NAME` of the pod that a token is bound to; who takes the token judges it. Throws INPUT_UNREADABLE. */
async function podOfToken(file: string): Promise<string> {
  try {
    const { 'kubernetes.io': bound } = decodeJwt((await readSmallFile(file)).trim());
    const { namespace, pod } = bound as { readonly namespace: string; readonly pod: { readonly name: string } };
    return `${namespace}/${pod.name}`;
  } catch (error) {
    if (isMeshError(error)) throw error;
    throw new MeshError('INPUT_UNREADABLE', { place: file, reason: 'it has no token that is bound to a pod' });
  }
}

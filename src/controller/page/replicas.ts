// What the other replicas of the controller know, for the page of this one: how their proxies stand, and a way to ask
// each. While nobody watches they are asked nothing.
import { MeshError } from '../../base/errors.ts';
import type { Observed, ObservedProxy } from '../../discovery/observe-server.ts';
import { joinedStatus } from '../../model/joined-status.ts';
import type { ReplicaView } from '../../model/page-views.ts';
import type { StatusView } from '../../model/views.ts';
import { json, type Routes, type SimpleResponse } from '../../telemetry/metrics-server.ts';
import { answerOf, askProxy, type ObservedProxyView, observedView, proxiesView } from '../observed-proxies.ts';

/** What a replica says of itself to another one. */
interface ReplicaAnswer {
  readonly status: Pick<StatusView, 'version' | 'proxies'>;
  readonly observed: readonly ObservedProxyView[];
}

export interface ReplicasOptions {
  readonly observed: {
    /** Those of this replica. */
    proxies(): readonly ObservedProxy[];
    /** The other replicas that attend. */
    replicas(): readonly Observed[];
  };
  /** `NAMESPACE/NAME` of this replica, '' while it is not known, and of the others that are ready; null without. */
  readonly replicas: { readonly own: string; others(): readonly string[] } | null;
}

const questionPath = '/replica';
/** What the page asks proxies for: no dump, no metrics, and nothing that changes anything. */
const askedOfProxies = /^\/proxies\/pod\/[^/]+\/[^/]+\/(state|edges|flows)$/;

/** What a replica lets the others ask: `observed` has its own proxies. */
export function replicaRoutes(
  observed: Pick<ReplicasOptions['observed'], 'proxies'>,
  status: () => StatusView,
): Routes {
  return {
    [`GET ${questionPath}`]: () => {
      const { version, proxies } = status();
      return json({ status: { version, proxies }, observed: proxiesView(observed).proxies } satisfies ReplicaAnswer);
    },
    'GET /proxies/*': (url, signal) => {
      if (askedOfProxies.test(url.pathname)) return askProxy(observed, 'GET', url, signal);
      throw new MeshError('NOT_FOUND', { what: url.pathname, hint: 'replicas ask for state, edges and flows' });
    },
  };
}

/** Asks from `look` to `look`; keeps what it heard. */
export class Replicas {
  readonly #options: ReplicasOptions;
  #answers = new Map<string, ReplicaAnswer>();
  /** By replica, pod and version, so that one that stays is the same object. */
  #remote = new Map<string, ObservedProxy>();
  #isLooking = false;

  constructor(options: ReplicasOptions) {
    this.#options = options;
  }

  /** Asks every other replica once, at once. Never rejects. */
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const replicas = newestOf(this.#options.observed.replicas());
    const heard = await Promise.all(
      replicas.map(
        async (replica) => [replica, (await answerOf(replica, questionPath)) as ReplicaAnswer | null] as const,
      ),
    );
    const remote = new Map<string, ObservedProxy>();
    this.#answers = new Map();
    for (const [replica, answer] of heard) {
      if (answer === null) continue;
      this.#answers.set(podOf(replica), answer);
      for (const view of answer.observed) {
        const key = `${podOf(replica)} ${view.pod} ${view.version}`;
        remote.set(key, this.#remote.get(key) ?? proxyBehind(replica, view));
      }
    }
    this.#remote = remote;
    this.#isLooking = false;
  }

  /** Those of every replica; one that is connected to this one is asked directly. */
  proxies(): readonly ObservedProxy[] {
    const all = new Map<string, ObservedProxy>();
    for (const proxy of [...this.#options.observed.proxies(), ...this.#remote.values()]) {
      const { pod } = observedView(proxy);
      if (!all.has(pod)) all.set(pod, proxy);
    }
    return [...all.values()];
  }

  /** `own` with the proxies of the others. */
  status(own: StatusView): StatusView {
    return joinedStatus([
      own,
      ...[...this.#answers.values()].map(({ status }) => ({ ...own, ...status, version: own.version })),
    ]);
  }

  /** Every replica, this one first; [] where it knows of no other. */
  views(own: StatusView): readonly ReplicaView[] {
    const { replicas } = this.#options;
    const others = [...new Set([...(replicas?.others() ?? []), ...this.#answers.keys()])].sort();
    if (others.length === 0) return [];
    return [
      { pod: replicas?.own ?? '', version: own.version, isThis: true, proxies: own.proxies.length },
      ...others.map((pod): ReplicaView => {
        const status = this.#answers.get(pod)?.status;
        return { pod, version: status?.version ?? '', isThis: false, proxies: status?.proxies.length ?? null };
      }),
    ];
  }
}

/** Of one that comes back, the newest stream. */
function newestOf(replicas: readonly Observed[]): readonly Observed[] {
  return [...new Map([...replicas].reverse().map((one) => [podOf(one), one])).values()];
}

function podOf({ node }: Observed): string {
  return `${node.namespace}/${node.name}`;
}

function proxyBehind(replica: Observed, view: ObservedProxyView): ObservedProxy {
  const { kind, name: title, pod, node: nodeName, version } = view;
  const [namespace = '', name = ''] = pod.split('/');
  const waypoint = kind === 'waypoint' ? { waypoint: title } : {};
  const ask = (question: string, signal?: AbortSignal): Promise<SimpleResponse> => {
    const [method = '', target = ''] = question.split(' ');
    return replica.ask(`${method} /proxies/pod/${pod}${target}`, signal);
  };
  return { node: { kind, namespace, name, nodeName, addresses: [], clusterId: '', version, ...waypoint }, ask };
}

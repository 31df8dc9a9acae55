// What the main thread and the data threads say to each other: plain objects over one MessagePort per thread.
import type { ProxyConfig } from '../config/proxy.ts';
import type { NetworksInput } from '../forward/networks.ts';
import type { MeshUpdate, Revocation, SpiffeId } from '../model/types.ts';
import type { ConnectionView, EdgeView, EjectedListView, LoopDelayView, ResourcesView } from '../model/views.ts';
import type { KeptFlow } from '../telemetry/flow-ring.ts';
import type { RequestRow } from '../telemetry/request-counters.ts';

/** `workerData` of a data thread. */
export interface DataThreadStart {
  readonly threadId: number;
  readonly nodeName: string;
  readonly trustDomain: string;
  readonly clusterId: string;
  /** Inherited descriptors of transparent listeners; several when one port has a socket per address family. */
  readonly listeners: {
    readonly outbound: readonly number[];
    readonly inbound: readonly number[];
    readonly hbone: readonly number[];
  };
  /** Listened on besides the descriptors: for tests, and where nothing is captured. */
  readonly addresses?: {
    readonly outbound?: readonly ListenAddress[];
    readonly inbound?: readonly ListenAddress[];
    readonly hbone?: readonly ListenAddress[];
  };
  /** A structured clone of the part of the configuration that the data path reads: `ForwardConfig`. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Nothing is accepted before the message `clientAddresses` has come. */
  readonly awaitsClientAddresses?: boolean;
  /** Pods come with networks of their own: `podOpened`. */
  readonly hasPodNetworks?: boolean;
  /** What all data threads count together; see `SharedUse`. Absent: this one counts alone. */
  readonly use?: SharedArrayBuffer;
}

/** The part of the configuration that changes without a restart. */
export type LiveConfig = Pick<ProxyConfig, 'log' | 'tracing' | 'timeouts' | 'limits'>;

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** A pod of this node whose connections come by listeners in its own network namespace. */
export interface PodOpened {
  readonly id: number;
  /** Nobody else may be called or call there. */
  readonly addresses: readonly string[];
  /** A descriptor of the main thread: to be opened anew, and only if it is still this namespace. */
  readonly namespace: { readonly fd: number; readonly inode: number };
  /** Descriptors that the thread owns from now on. */
  readonly listeners: { readonly outbound: number; readonly inbound: number; readonly hbone: number };
}

export type ToDataThread =
  | { readonly type: 'mesh'; readonly update: MeshUpdate }
  /** The whole mesh has been said, in several changes: from now on an address that is not known is unknown. */
  | { readonly type: 'meshKnown' }
  | {
      readonly type: 'certificate';
      readonly identity: SpiffeId;
      readonly keyPem: string;
      /** Leaf, then intermediates. */
      readonly chainPem: readonly string[];
      readonly rootsPem: readonly string[];
      readonly notAfterMs: number;
    }
  | { readonly type: 'certificateFailed'; readonly identity: SpiffeId; readonly reason: string }
  /** All of them, whenever one has changed. */
  | { readonly type: 'revocations'; readonly revocations: readonly Revocation[] }
  | { readonly type: 'certificateForgotten'; readonly identity: SpiffeId }
  /** Asks for a `snapshot` with the same id. */
  | { readonly type: 'snapshot'; readonly id: number; readonly connections: boolean }
  /** Asks for `flows` with the same id: what was kept after the record `mark`, `max` of them at most. */
  | { readonly type: 'flows'; readonly id: number; readonly mark: number; readonly max: number }
  /** Asks for `strain` with the same id. */
  | { readonly type: 'strain'; readonly id: number }
  /** Stop accepting, end pooled sessions gracefully, close what remains at the deadline, then answer `drained`. */
  | { readonly type: 'drain'; readonly deadlineMs: number }
  | { readonly type: 'logLevel'; readonly level: string }
  /** Which families of client addresses applications get to see. */
  | { readonly type: 'clientAddresses'; readonly ipv4: boolean; readonly ipv6: boolean }
  /** Where pods are. */
  | ({ readonly type: 'networks' } & NetworksInput)
  | { readonly type: 'config'; readonly config: LiveConfig }
  /** Connections of a pod come; said again when its addresses have changed, with other descriptors. */
  | { readonly type: 'podOpened'; readonly pod: PodOpened }
  /** They come no more, and those that run end. */
  | { readonly type: 'podClosed'; readonly id: number }
  /** Die of an exception that nobody caught: for tests of what follows. */
  | { readonly type: 'crash' };

/** What a data thread has to say besides its message. */
export type NoticeFields = Readonly<Record<string, string | number>>;

export type FromDataThread =
  /** Listeners are open and the first complete mesh has been applied. */
  /** `tcp`: the back end of its TCP streams, `raw` or `socket (WHY)`. */
  | { readonly type: 'serving'; readonly tcp: string }
  | { readonly type: 'certificateWanted'; readonly identity: SpiffeId }
  /** A line for the log, at `info`. */
  | { readonly type: 'notice'; readonly message: string; readonly fields: NoticeFields }
  | {
      readonly type: 'snapshot';
      readonly id: number;
      readonly connections: readonly ConnectionView[];
      readonly edges: readonly EdgeView[];
      /** HTTP requests by label; absent where the thread serves none. */
      readonly requests?: readonly RequestRow[];
      /** Counters and gauges of this thread by name, already in base units: `ambient_…`. */
      readonly counters: Readonly<Record<string, number>>;
      readonly loopDelayMs: LoopDelayView;
      /** Absent where connections were not asked for. */
      readonly resources?: ResourcesView;
    }
  | {
      readonly type: 'flows';
      readonly id: number;
      readonly flows: readonly KeptFlow[];
      readonly last: number;
      readonly lost: number;
    }
  | { readonly type: 'strain'; readonly id: number; readonly strain: EjectedListView }
  | { readonly type: 'drained'; readonly closedByDeadline: number };

// What `ambientctl` asks a running lab, over its control socket. The client is `control-client.ts`, the server
// `control-server.ts`.
import type { ResourceIssue } from '../model/types.ts';

export interface LabStatus {
  readonly name: string;
  readonly startedAt: string;
  readonly ready: boolean;
  /** What is not ready yet, in words a person can act on; empty when ready. */
  readonly pending: readonly string[];
  /** Process id of the lab's first process as the host sees it, whose namespaces `exec` and `shell` enter. */
  readonly hostPid: number;
  readonly nodes: readonly {
    readonly name: string;
    readonly addresses: readonly string[];
    readonly podCidrs: readonly string[];
    readonly proxyReady: boolean;
  }[];
  readonly pods: readonly LabPod[];
  /** Faults that are in force, in words; see `lab fault`. */
  readonly faults: readonly string[];
}

export interface LabPod {
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  readonly addresses: readonly string[];
  readonly serviceAccount: string;
  readonly owner: { readonly kind: string; readonly name: string } | null;
  readonly phase: 'Pending' | 'Running' | 'Succeeded' | 'Failed';
  readonly ready: boolean;
  readonly restarts: number;
  readonly reason: string | null;
  readonly enrolled: boolean;
}

/** What `lab restart` did. */
export interface RestartResult {
  /** The proxy that a rolling restart replaced; null otherwise. */
  readonly replaced: {
    readonly pid: number;
    /** Null while it still drains, or when a signal ended it. */
    readonly exitCode: number | null;
    /** Connections that it had to reset at its deadline; null when it did not say. */
    readonly left: number | null;
  } | null;
}

/** A process to enter: its id on the host, and the namespaces to join by `nsenter` flags. */
export interface LabTarget {
  readonly hostPid: number;
  readonly nsenterArgs: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Image of the container; '' in a node. It may bring programs of its own (`images.ts`). */
  readonly image: string;
}

export interface ApplyResult {
  readonly applied: readonly {
    readonly kind: string;
    readonly namespace: string;
    readonly name: string;
    readonly action: 'created' | 'changed' | 'unchanged' | 'deleted';
  }[];
  /** Not empty means that nothing was applied. */
  readonly refused: readonly ResourceIssue[];
  readonly warnings: readonly ResourceIssue[];
}

/**
 * What `lab restart`, `lab logs` and the process faults name: a node's proxy, the controller, a waypoint with all its
 * pods, a pod; of `lab` itself there is a log.
 */
export type LabPart =
  | { readonly kind: 'lab' }
  | { readonly kind: 'node'; readonly name: string }
  | { readonly kind: 'controller' }
  | { readonly kind: 'waypoint'; readonly namespace: string; readonly name: string }
  | { readonly kind: 'pod'; readonly namespace: string; readonly name: string; readonly container?: string };

/** Who has an admin port. */
export type AdminPart = Extract<LabPart, { kind: 'node' | 'controller' | 'waypoint' }>;

/** A link that faults are put on: that of a node to the fabric, or of a pod to its node. */
export type LabLink =
  | { readonly node: string; readonly pod?: never }
  | { readonly pod: { readonly namespace: string; readonly name: string }; readonly node?: never };

/** One fault of `lab fault`. All but kill stay until `heal`. */
export type LabFault =
  /** No packet passes. */
  | ({ readonly type: 'cut' } & LabLink)
  /**
   * No packet passes between two nodes, which both still reach the controller; or, where the peer is `controller`,
   * between its discovery port and the node.
   */
  | { readonly type: 'partition'; readonly node: string; readonly peer: string }
  /** Part of the packets, both ways, is dropped: 0 to 1. */
  | ({ readonly type: 'loss'; readonly ratio: number } & LabLink)
  /** Packets are late, both ways, by this much. */
  | ({ readonly type: 'delay'; readonly delayMs: number } & LabLink)
  /** Packets are late, but this part of them, 0 to 1, goes at once and overtakes the others. */
  | ({ readonly type: 'reorder'; readonly ratio: number; readonly delayMs: number } & LabLink)
  /** No more than this passes, each way. */
  | ({ readonly type: 'rate'; readonly bitsPerSecond: number } & LabLink)
  /** SIGSTOP, SIGCONT, SIGKILL to a part; what was killed is started again by its supervisor. */
  | { readonly type: 'stop' | 'cont' | 'kill'; readonly part: LabPart }
  /** SIGKILL to a node's proxy or the controller, which is not started again until `heal`. */
  | { readonly type: 'down'; readonly part: LabPart }
  /** The token of a node's proxy becomes one that the controller refuses. */
  | { readonly type: 'bad-token'; readonly node: string }
  /** The part runs only this part of the time, 0 to 1. */
  | { readonly type: 'slow'; readonly part: LabPart; readonly ratio: number }
  /** The file system with the state of a node's proxy is full. */
  | { readonly type: 'disk-full'; readonly node: string }
  /** In the controller's place answers one that proves to be it and then says nothing that makes sense. */
  | { readonly type: 'garbage' }
  /** Ends every fault, or those of one node, pod or part. */
  | { readonly type: 'heal'; readonly part?: LabPart; readonly node?: string };

/** A manifest as the client read it: its text and the name that errors give it. */
export interface LabDocument {
  readonly file: string;
  readonly text: string;
}

/** A running lab as seen from outside. */
export interface LabSummary {
  readonly name: string;
  readonly hostPid: number;
  readonly startedAt: string;
}

export interface LogOptions {
  /** Go on with what is written from now on, until the iterator is ended. */
  readonly follow?: boolean;
  /** Access-log lines only. */
  readonly access?: boolean;
}

/** What a lab that starts says about its progress, one line for a person each. */
export type LabProgress =
  | { readonly type: 'step'; readonly message: string }
  | { readonly type: 'warning'; readonly message: string }
  | { readonly type: 'ready'; readonly message: string }
  | { readonly type: 'failed'; readonly code: 'CONFIG_INVALID' | 'TIMED_OUT' | 'INTERNAL'; readonly message: string };

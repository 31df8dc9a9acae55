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
 * What `lab restart`, `lab logs` and the process faults name: a node's proxy, the controller, a pod; of `lab` itself
 * there is a log.
 */
export type LabPart =
  | { readonly kind: 'lab' }
  | { readonly kind: 'node'; readonly name: string }
  | { readonly kind: 'controller' }
  | { readonly kind: 'pod'; readonly namespace: string; readonly name: string; readonly container?: string };

/** One fault of `lab fault`. A link fault stays until it is healed with `heal`. */
export type LabFault =
  /** The node's link to the fabric is down, or is up and faultless again. */
  | { readonly type: 'cut' | 'heal'; readonly node: string }
  /** No packet passes between two nodes; both still reach the controller. */
  | { readonly type: 'partition'; readonly node: string; readonly peer: string }
  /** Part of the packets on the node's link, both ways, is dropped: 0 to 1. */
  | { readonly type: 'loss'; readonly node: string; readonly ratio: number }
  /** Packets on the node's link are late, both ways, by this much. Needs the kernel's netem. */
  | { readonly type: 'delay'; readonly node: string; readonly delayMs: number }
  /** SIGSTOP, SIGCONT, SIGKILL to a part; what was killed is started again by its supervisor. */
  | { readonly type: 'stop' | 'cont' | 'kill'; readonly part: LabPart };

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

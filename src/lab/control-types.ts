// What `ambientctl` asks a running lab, over its control socket. The client is `control-client.ts`, the server `control-server.ts`.
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

// Who was seen calling whom: the edges of `ambientctl edges`, or flows of `ambientctl tap`, as far as analyzers ask.

/** An edge between two workloads, connections alike in how they were carried. */
export interface SeenEdge {
  readonly from: { readonly namespace: string; readonly workload: string };
  readonly to: {
    readonly namespace: string;
    readonly workload: string;
    /** A host name, with or without `NAMESPACE/` before it; '' for calls to a pod by its own address. */
    readonly service: string;
  };
  readonly transport: 'mtls' | 'same-node' | 'plaintext';
  readonly opened: number;
  readonly refused: number;
}

/** `NAMESPACE/WORKLOAD`. */
export function partyOf({ namespace, workload }: { readonly namespace: string; readonly workload: string }): string {
  return namespace === '' ? workload || 'somebody' : `${namespace}/${workload}`;
}

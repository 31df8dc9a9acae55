// What the thread of a target is given, and what it shares with whoever watches it.

export interface WorkerRequest {
  /** The module that exports `targets`, and the name of one of them. */
  readonly module: string;
  readonly target: string;
  readonly inputs: number;
  readonly seed: number;
  readonly corpus: readonly Uint8Array[];
  readonly shared: SharedArrayBuffer;
}

/** In front of the input at work: the number of inputs begun, and the length of this one. */
export const headerBytes = 8;

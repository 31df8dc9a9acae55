// The interface of capture: something that redirects pod traffic to the proxy's listeners, proves it, and can be
// undone. `host-backend.ts` does it in the node's network namespace, `pod-backend.ts` in that of each pod; `NoCapture`
// is for proxies that are fed another way.
import type { PodCaptureView } from '../model/views.ts';
import type { DesiredCapture } from './desired.ts';

export interface CaptureVerdict {
  /**
   * `intact`: the kernel has what was applied. `drifted`: somebody changed it; the next `apply` repairs it.
   * `superseded`: a proxy that started later on this node owns the rules; only the bypass set is still kept by this
   * one.
   */
  readonly state: 'intact' | 'drifted' | 'superseded';
  /** What differs, in words; empty when intact. */
  readonly findings: readonly string[];
}

export interface CaptureBackend {
  /**
   * Makes the kernel match `desired`, in one transaction. Throws `CAPTURE_FAILED` or `TOOL_MISSING`; then nothing has
   * changed.
   */
  apply(desired: DesiredCapture): Promise<void>;
  /** Reads back and compares with what was applied last. Throws like `apply`. */
  verify(): Promise<CaptureVerdict>;
  /** Removes everything that `apply` ever made, whoever applied it. Idempotent. */
  remove(): Promise<void>;
  /** How it stands with each pod; empty where the rules of the node serve all of them. */
  pods(): readonly PodCaptureView[];
  /** Lets go of what it watches and of the listeners that it opened; the rules stay. Idempotent. */
  close(): void;
}

/** Captures nothing: for tests, and for machines where something else redirects. */
export class NoCapture implements CaptureBackend {
  async apply(): Promise<void> {}

  async verify(): Promise<CaptureVerdict> {
    return { state: 'intact', findings: [] };
  }

  async remove(): Promise<void> {}

  pods(): readonly PodCaptureView[] {
    return [];
  }

  close(): void {}
}

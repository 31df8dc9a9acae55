// What failed of the capture, as findings of the node: so that `ambientctl status` and `check` say who is cut off.
import type { NodeDump, NodeFinding } from '../model/views.ts';

/** Pods that one finding names. */
const namedMax = 5;

/** Failures of the whole, and of single pods; `nameOf` finds the pod of addresses, null where nobody knows it. */
export function captureFindings(
  { state, reason, pods }: NodeDump['capture'],
  nameOf: (addresses: readonly string[]) => string | null,
): NodeFinding[] {
  const findings: NodeFinding[] = [];
  if (state === 'failed') {
    const text = `traffic of the node's pods is not captured: ${reason ?? 'unknown'}`;
    const fix = 'it is tried again; see the log of its node proxy, and ambient-node check on the node';
    const hint = 'docs/node-proxy.md#what-a-node-needs';
    findings.push({ id: 'capture-failed', severity: 'error', text, fix, set: [], hint });
  }
  const failed = pods.filter((pod) => pod.state === 'failed');
  if (failed.length === 0) return findings;
  const names = failed.map(({ addresses }) => nameOf(addresses) ?? (addresses.join(',') || 'a pod without an address'));
  const [first] = failed;
  const more = failed.length > namedMax ? ` and ${failed.length - namedMax} more` : '';
  const text = `cut off, because their traffic cannot be captured: ${names.slice(0, namedMax).join(', ')}${more}`;
  const fix = `${first?.reason ?? 'unknown'}; it is tried again, see: ambientctl config capture --node NAME`;
  const hint = 'docs/node-proxy.md#capture-inside-pods';
  findings.push({ id: 'capture-pods-failed', severity: 'error', text, fix, set: [], hint });
  return findings;
}

// What came of a flow, in one word: forwarded, refused by policy, or failed of anything else.
import { refusalFlags } from '../base/flags.ts';
import type { AccessRecord, FlowView, RequestRecord } from './access-record.ts';

export const flowVerdicts = ['forwarded', 'refused', 'failed'] as const;
export type FlowVerdict = (typeof flowVerdicts)[number];

const serverErrors = 500;

/** `refused` and `failed` by the flag; without one, an answer of 500 and above, or a gRPC error, is a failure. */
export function verdictOf(flow: AccessRecord | RequestRecord): FlowVerdict {
  if (refusalFlags.has(flow.flag)) return 'refused';
  if (flow.flag !== '-') return 'failed';
  const grpc = flow.kind === 'request' ? ((flow as RequestRecord).grpcStatus ?? 0) : 0;
  return (flow.status ?? 0) >= serverErrors || grpc > 0 ? 'failed' : 'forwarded';
}

/**
 * Both ends of a tunnel tell of it: the destination's word is the better one, since it decides. What it has not seen,
 * or what only one proxy carries, is the source's to tell.
 */
export function isToldOnce(flow: FlowView): boolean {
  if (flow.kind === 'request' || flow.direction === 'inbound' || flow.transport !== 'mtls') return true;
  return verdictOf(flow) === 'failed';
}

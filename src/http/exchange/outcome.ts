// What a client is told when there is no answer to pass on, and what a failure means to the rules of retries. Words as
// Envoy's where it has some, since people search for them; nothing of the mesh's inside is said to clients.
import type { ErrorCode, MeshError } from '../../base/errors.ts';
import type { Flag } from '../../base/flags.ts';
import { GrpcStatus } from '../grpc.ts';
import type { ResponseHead } from '../message.ts';
import { overloadRetryAfterS } from '../resilience/adaptive-concurrency.ts';
import type { LocalFailure } from '../resilience/outliers.ts';
import { retryAfterMs } from '../resilience/retry-after.ts';
import type { FailedTry, RetryVerdict, TryEnd } from '../resilience/retry-rules.ts';

export interface FailureAnswer {
  readonly status: number;
  readonly body: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly flag: Flag;
}

/** A try of which nothing is known but that its request has left. */
export const failedTry: FailedTry = {
  end: 'reset',
  status: 0,
  grpcStatus: -1,
  madeByProxy: false,
  rateLimited: false,
  retryAfterMs: 0,
  bytesLeft: true,
  unprocessed: false,
  replayable: true,
  uncommitted: true,
};

/** An answer that is a failure, or not what was asked for. */
export function answeredTry(head: ResponseHead, grpcStatus: number): Pick<FailedTry, 'end'> & Partial<FailedTry> {
  const { status, headers } = head;
  const madeByProxy = status === 503 && headers.has(unprocessedHeader);
  const rateLimited = headers.has('x-envoy-ratelimited');
  const waitMs = retryAfterMs(headers.get('retry-after'), Date.now);
  return { end: 'answer', status, grpcStatus, madeByProxy, rateLimited, retryAfterMs: waitMs };
}

const timeoutBody = 'upstream request timeout';

/** Says to a proxy before us that no application has seen the request: it may send it elsewhere, whatever it is. */
export const unprocessedHeader = 'x-ambient-unprocessed';

/** The answer for a failure, with the flag of the access log. `untouched`: no application has seen the request. */
export function failureAnswer(error: MeshError, untouched: boolean, isGrpc: boolean): FailureAnswer {
  const answer = answerFor(error);
  // gRPC's own word for it, where Envoy says the same; 504 alone would be UNAVAILABLE.
  if (isGrpc && answer.status === 504) {
    return { ...answer, headers: [['grpc-status', String(GrpcStatus.DeadlineExceeded)]] };
  }
  return untouched ? { ...answer, headers: [...answer.headers, [unprocessedHeader, '1']] } : answer;
}

function answerFor(error: MeshError): FailureAnswer {
  const { flag } = error;
  switch (error.code) {
    case 'REQUEST_TIMEOUT':
    case 'TRY_TIMEOUT':
    case 'MAX_STREAM_TIME':
      return { status: 504, body: timeoutBody, headers: [], flag };
    case 'IDLE_TIMEOUT':
      return { status: 504, body: 'stream timeout', headers: [], flag };
    case 'NO_ENDPOINT':
    case 'NO_SUCH_PORT':
      return { status: 503, body: 'no healthy upstream', headers: [], flag };
    case 'UPSTREAM_OVERFLOW': {
      const sheds = error.details.limit === 'adaptiveConcurrency';
      const headers: [string, string][] = [['x-envoy-overloaded', 'true']];
      if (sheds) headers.push(['retry-after', String(overloadRetryAfterS)]);
      return { status: 503, body: 'upstream connect error: overflow', headers, flag };
    }
    case 'BACKEND_INVALID':
      return { status: 503, body: 'no backend', headers: [], flag };
    case 'H2_PROTOCOL':
    case 'RESPONSE_INVALID':
      return { status: 502, body: 'upstream protocol error', headers: [], flag: 'RESPONSE_INVALID' };
    case 'INTERNAL':
      return { status: 500, body: 'internal error', headers: [], flag };
    default:
      return { status: 503, body: connectBody(error.code), headers: [], flag: upstreamFlag(error) };
  }
}

/** What the log says of a request that is not tried again; null for what it ended with. */
export function flagOfVerdict(verdict: RetryVerdict | null, attempts: number): Flag | null {
  if (verdict === 'refused') return 'RETRY_REFUSED';
  return verdict === 'limit' && attempts > 1 ? 'RETRY_LIMIT' : null;
}

/** How a failed try ended, in the words of the retry rules. */
export function tryEndOf(error: MeshError, stage: 'connect' | 'exchange', unprocessed: boolean): TryEnd {
  if (error.code === 'UPSTREAM_OVERFLOW') return 'overflow';
  if (error.code === 'TRY_TIMEOUT') return 'per-try-timeout';
  if (stage === 'connect') return 'connect-failure';
  if (unprocessed) return 'refused-stream';
  return error.code === 'CONNECTION_LOST' || error.code === 'PEER_RESET' ? 'connection-lost' : 'reset';
}

/** How a try that got no answer counts at its endpoint. */
export function localFailureOf(end: TryEnd): LocalFailure {
  return end === 'connect-failure' ? 'connect' : end === 'per-try-timeout' ? 'timeout' : 'reset';
}

/** Errors that came before there was a connection. */
const connectCodes: ReadonlySet<ErrorCode> = new Set([
  'CONNECT_FAILED',
  'CONNECT_TIMEOUT',
  'TUNNEL_CONNECT_TIMEOUT',
  'TUNNEL_REJECTED',
  'TLS_FAILED',
  'PEER_IDENTITY',
  'H2_HANDSHAKE',
  'NO_CERTIFICATE',
]);

function connectBody(code: ErrorCode): string {
  const reason = connectCodes.has(code) ? 'connection failure' : 'connection termination';
  return `upstream connect error or disconnect/reset before headers. reset reason: ${reason}`;
}

/** A connection that broke is the destination's doing unless the error says better. */
function upstreamFlag(error: MeshError): Flag {
  return error.flag === 'PROXY_ERROR' && error.code !== 'INTERNAL' ? 'RESET_BY_DESTINATION' : error.flag;
}

// What the API server answers when it does not do what it was asked: one error code, and what a caller decides by.
import { isMeshError, MeshError } from '../../base/errors.ts';

export interface ApiFailure {
  readonly status: number;
  /** The word of a `Status` object, such as `Expired`; '' without one. */
  readonly reason: string;
  /** By the header `Retry-After`; 0 without one. */
  readonly retryAfterMs: number;
}

/** How long `Retry-After` may make us wait. */
const retryAfterMaxMs = 60_000;
const messageLengthMax = 500;

/** The error for an answer other than 2xx. `body` is its text, a `Status` object or anything else. */
export function apiError(what: string, status: number, body: string, retryAfter: unknown): MeshError {
  const { reason, message } = statusObject(body);
  const seconds = Number(typeof retryAfter === 'string' ? retryAfter : Number.NaN);
  const retryAfterMs = seconds > 0 ? Math.min(seconds * 1000, retryAfterMaxMs) : 0;
  return new MeshError('KUBE_API', { what, status, reason, message, retryAfterMs });
}

/** The error that an event of type ERROR stands for; its object is a `Status`. */
export function apiErrorOfStatus(what: string, status: unknown): MeshError {
  const { code, reason, message } = fieldsOf(status);
  const number = typeof code === 'number' ? code : 500;
  return new MeshError('KUBE_API', {
    what,
    status: number,
    reason: textOf(reason),
    message: textOf(message),
    retryAfterMs: 0,
  });
}

/** What the API server said, when `error` is its answer; null for any other failure. */
export function failureOf(error: unknown): ApiFailure | null {
  if (!isMeshError(error) || error.code !== 'KUBE_API') return null;
  const { status, reason, retryAfterMs } = error.details;
  return { status: Number(status), reason: String(reason), retryAfterMs: Number(retryAfterMs) };
}

/** True when the history that was asked for is gone: `410 Gone`, or an `Expired` of another number. */
export function isExpired(error: unknown): boolean {
  const failure = failureOf(error);
  return failure !== null && (failure.status === 410 || failure.reason === 'Expired' || failure.reason === 'Gone');
}

function statusObject(body: string): { readonly reason: string; readonly message: string } {
  try {
    const { reason, message } = fieldsOf(JSON.parse(body));
    return { reason: textOf(reason), message: textOf(message) };
  } catch {
    return { reason: '', message: body.trim().slice(0, messageLengthMax) };
  }
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, messageLengthMax) : '';
}

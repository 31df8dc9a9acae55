// How streams over sockets tell why they ended: which errors are a reset by the peer, and which are no errors at all.
import { isMeshError, MeshError, messageOf } from '../base/errors.ts';
import { type ByteStreamHandler, Took } from './byte-stream.ts';

/** True for the errors by which the kernel says that the peer aborted. */
export function isReset(error: Error | null): boolean {
  if (error === null) return false;
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ECONNRESET' || code === 'EPIPE';
}

/**
 * The error that `onClose` reports for what a socket raised: ours as it is, a reset as `PEER_RESET`, others as
 * `CONNECTION_LOST`.
 */
export function closeErrorOf(error: Error | null): MeshError | null {
  if (error === null || isMeshError(error)) return error;
  const code = isReset(error) ? 'PEER_RESET' : 'CONNECTION_LOST';
  return new MeshError(code, { reason: messageOf(error) }, { cause: error });
}

/** Stands in until a stream is started: nothing is read before, so nothing is lost. */
export const idleHandler: ByteStreamHandler = {
  onData: () => Took.Pause,
  onEnd: () => undefined,
  onDrain: () => undefined,
  onClose: () => undefined,
};

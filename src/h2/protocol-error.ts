// What a peer did wrong, with the HTTP/2 code that tells it so. Thrown inside the layer for connection errors;
// the session catches it, sends GOAWAY and ends.
import { MeshError } from '../base/errors.ts';

/** `H2_PROTOCOL` with the error code that goes into GOAWAY or RST_STREAM. */
export class ProtocolError extends MeshError {
  /** One of `ErrorCode`. */
  readonly h2Code: number;

  constructor(h2Code: number, reason: string) {
    super('H2_PROTOCOL', { reason });
    this.h2Code = h2Code;
  }
}

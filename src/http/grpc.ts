// gRPC's status beside HTTP's: what a caller of gRPC is told when the mesh itself answers.

/** Codes of gRPC (https://github.com/grpc/grpc/blob/master/doc/statuscodes.md) that the mesh uses. */
export const GrpcStatus = {
  Cancelled: 1,
  Unknown: 2,
  DeadlineExceeded: 4,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  Unimplemented: 12,
  Internal: 13,
  Unavailable: 14,
  Unauthenticated: 16,
} as const;

/** Returns the gRPC code that an HTTP status means to a caller (gRPC's http-grpc-status-mapping, as Envoy has it). */
export function grpcStatusOf(httpStatus: number): number {
  switch (httpStatus) {
    case 400:
      return GrpcStatus.Internal;
    case 401:
      return GrpcStatus.Unauthenticated;
    case 403:
      return GrpcStatus.PermissionDenied;
    case 404:
      return GrpcStatus.Unimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return GrpcStatus.Unavailable;
    default:
      return GrpcStatus.Unknown;
  }
}

/** Returns `text` as `grpc-message` carries it: percent-encoded where it is not printable ASCII. */
export function grpcMessage(text: string): string {
  return text.replace(/[^\x20-\x24\x26-\x7e]/gu, (each) =>
    [...Buffer.from(each)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}

/** Returns the headers of a trailers-only answer; a `grpc-status` among `headers` stays what it is. */
export function grpcAnswer(
  status: number,
  headers: readonly (readonly [name: string, value: string])[],
  body: string,
): readonly (readonly [name: string, value: string])[] {
  const kept = headers.filter(([name]) => name !== 'content-type' && name !== 'content-length');
  const hasStatus = kept.some(([name]) => name === 'grpc-status');
  const added: [string, string][] = [['content-type', 'application/grpc']];
  if (!hasStatus) added.push(['grpc-status', String(grpcStatusOf(status))]);
  if (body !== '' && !kept.some(([name]) => name === 'grpc-message')) added.push(['grpc-message', grpcMessage(body)]);
  return [...added, ...kept];
}

/** Returns the trailers that end a call before its time. */
export function grpcTrailers(grpcStatus: number, message: string): readonly (readonly [name: string, value: string])[] {
  return [
    ['grpc-status', String(grpcStatus)],
    ['grpc-message', grpcMessage(message)],
  ];
}

// gRPC status codes by name and as HTTP status, as Envoy maps them (`Grpc::Utility::grpcToHttpStatus`).
import { GrpcStatus } from '../grpc.ts';

const httpByCode = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401] as const;

/** The HTTP status that statistics take a gRPC status for; 500 for a code that does not exist. */
export function httpStatusOfGrpc(code: number): number {
  return httpByCode[code] ?? 500;
}

/** Codes that a retry condition can name. */
export const retriableGrpcCodes = {
  cancelled: GrpcStatus.Cancelled,
  'deadline-exceeded': GrpcStatus.DeadlineExceeded,
  'resource-exhausted': GrpcStatus.ResourceExhausted,
  internal: GrpcStatus.Internal,
  unavailable: GrpcStatus.Unavailable,
} as const satisfies Record<string, number>;

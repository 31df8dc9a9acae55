// What an echo saw of a request as lines `Name=value`, the text that Istio's test application answers with and that
// the mesh tests of Gateway API's conformance suite read.
import type { EchoIdentity } from './options.ts';

/** One request as it arrived. */
export interface SeenRequest {
  readonly host: string;
  /** Path and query as they came; null for gRPC. */
  readonly url: string | null;
  readonly method: string;
  /** `HTTP/1.1`, `HTTP/2.0` or `GRPC`. */
  readonly proto: string;
  /** Of the client, `IP:port`. */
  readonly peer: string;
  readonly port: number | undefined;
  /** What TLS agreed on; null without it. */
  readonly alpn: string | null;
  /** Names and values in turn, as they were written. */
  readonly rawHeaders: readonly string[];
}

/** The lines, each with its newline. */
export function echoLines(identity: EchoIdentity, seen: SeenRequest): string {
  const headers: (readonly [name: string, value: string])[] = [];
  for (let at = 0; at + 1 < seen.rawHeaders.length; at += 2) {
    const name = seen.rawHeaders[at]!;
    if (!name.startsWith(':')) headers.push([name, seen.rawHeaders[at + 1]!]);
  }
  const lines = [
    ...[`ServiceVersion=${identity.version}`, `ServicePort=${seen.port ?? ''}`, `Host=${seen.host}`],
    ...(seen.url === null ? [] : [`URL=${seen.url}`]),
    ...[`Hostname=${identity.pod}`, `Namespace=${identity.namespace}`, `Cluster=${identity.cluster}`],
    ...[`Method=${seen.method}`, `Proto=${seen.proto}`, `IP=${seen.peer}`],
    ...(seen.alpn === null ? [] : [`Alpn=${seen.alpn}`]),
    // Values of one name stay in the order in which they came.
    ...headers
      .sort(([a], [b]) => (a < b ? -1 : Number(a > b)))
      .map(([name, value]) => `RequestHeader=${name}:${value}`),
  ];
  return `${lines.join('\n')}\n`;
}

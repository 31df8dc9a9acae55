// From a probe as a manifest has it to what the node's agent does: ports by name, defaults of the API.
import type { Container, Probe } from './objects.ts';
import type { ProbeAction } from './probe.ts';
import type { ProbeTiming } from './prober.ts';

export interface ProbeContext {
  readonly container: Container;
  /** Address that the node reaches the pod at. */
  readonly podIp: string;
  /** Makes a command line run inside the container. */
  readonly entered: (argv: readonly string[]) => { argv: readonly string[]; env: Readonly<Record<string, string>> };
}

/** The action of a probe, or null when it names nothing that the lab knows, which fails for good. */
export function probeAction(probe: Probe, context: ProbeContext): ProbeAction | null {
  const { container, podIp } = context;
  if (probe.httpGet !== undefined) {
    const { path = '/', port, host = podIp, scheme = 'HTTP', httpHeaders = [] } = probe.httpGet;
    const number = portOf(port, container);
    if (number === null) return null;
    const headers = Object.fromEntries(httpHeaders.map(({ name, value }) => [name.toLowerCase(), value]));
    return { kind: 'httpGet', scheme: scheme === 'HTTPS' ? 'https' : 'http', host, port: number, path, headers };
  }
  if (probe.tcpSocket !== undefined) {
    const port = portOf(probe.tcpSocket.port, container);
    return port === null ? null : { kind: 'tcpSocket', host: probe.tcpSocket.host ?? podIp, port };
  }
  if (probe.grpc !== undefined)
    return { kind: 'grpc', host: podIp, port: probe.grpc.port, service: probe.grpc.service ?? '' };
  if (probe.exec !== undefined) return { kind: 'exec', ...context.entered(probe.exec.command ?? []) };
  return null;
}

/** Periods and thresholds in milliseconds and counts, with the defaults of the API. */
export function probeTiming(probe: Probe): ProbeTiming {
  const seconds = (value: number | undefined, otherwise: number) => (value ?? otherwise) * 1000;
  return {
    initialDelayMs: seconds(probe.initialDelaySeconds, 0),
    periodMs: seconds(probe.periodSeconds, 10),
    timeoutMs: seconds(probe.timeoutSeconds, 1),
    successThreshold: probe.successThreshold ?? 1,
    failureThreshold: probe.failureThreshold ?? 3,
  };
}

function portOf(port: number | string, container: Container): number | null {
  if (typeof port === 'number') return port;
  const named = container.ports?.find((each) => each.name === port);
  if (named !== undefined) return named.containerPort;
  return /^\d+$/.test(port) ? Number(port) : null;
}

// Our HTTP path as a hop, plaintext or between tunnels: the waypoint's engine in one process.
import path from 'node:path';
import type { CertificateFiles } from '../certificates.ts';
import { Service } from '../processes.ts';
import { type HopContext, host, type RunningHop, type StartHop } from './hop.ts';
import { type EndPorts, endPorts, type HopProtocol, startTunnelEnds } from './tunnel-ends.ts';

/** Which tree's HTTP path it is, and how it is named. */
export interface AmbientHop {
  readonly name: string;
  readonly tree: string;
  readonly nodeFlags: readonly string[];
  /** Of its requests, so many in a hundred are traced; absent: tracing is off. */
  readonly tracedPercent?: number;
}

/** This tree. */
export const ownTree = path.dirname(path.dirname(import.meta.dirname));

export interface HopProxyOptions {
  readonly http1Port: number;
  readonly http2Port: number;
  readonly accessFile: string;
  readonly tracedPercent?: number;
  /** Between tunnels: it listens on no plain port then. */
  readonly tunnels?: {
    readonly ports: Readonly<Record<HopProtocol, EndPorts>>;
    readonly certificate: Pick<CertificateFiles, 'roots' | 'certificate' | 'key'>;
  };
}

function startProxy(hop: AmbientHop, given: HopProxyOptions, dir: string): Service {
  const { name, tree, nodeFlags, tracedPercent } = hop;
  const options = { ...given, ...(tracedPercent !== undefined && { tracedPercent }) };
  const program = path.join(tree, 'bench', 'hops', 'hop-proxy.ts');
  const words = [process.execPath, ...nodeFlags, program, JSON.stringify(options)];
  return new Service({ name, netns: null, words, logFile: path.join(dir, 'hop.log') });
}

function running(name: string, context: HopContext, proxy: Service, ends: readonly Service[] = []): RunningHop {
  const { http1Port, http2Port } = context;
  const services = [...ends, proxy];
  const urls = { http1: `http://${host}:${http1Port}`, http2: `http://${host}:${http2Port}` };
  return { name, ...urls, netns: null, proxies: [proxy], waypoint: null, services };
}

/** Starts it in plaintext. */
export const startAmbientHop =
  (hop: AmbientHop): StartHop =>
  async (context) => {
    const { dir, http1Port, http2Port } = context;
    const proxy = startProxy(hop, { http1Port, http2Port, accessFile: path.join(dir, 'access.log') }, dir);
    return running(hop.name, context, proxy);
  };

/** Starts it between tunnels. */
export const startAmbientTunnelHop =
  (hop: AmbientHop): StartHop =>
  async (context) => {
    const { dir, http1Port, http2Port, certificates } = context;
    const tunnels = { ports: endPorts(context), certificate: certificates.server };
    const options = { http1Port, http2Port, accessFile: path.join(dir, 'access.log'), tunnels };
    return running(hop.name, context, startProxy(hop, options, dir), startTunnelEnds(context));
  };

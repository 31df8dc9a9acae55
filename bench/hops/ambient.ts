// Our HTTP path as a hop, plaintext or between tunnels: the waypoint's engine in one process.
import path from 'node:path';
import type { CertificateFiles } from '../certificates.ts';
import { Service } from '../processes.ts';
import { type HopContext, host, type RunningHop, type StartHop } from './hop.ts';
import { type EndPorts, endPorts, type HopProtocol, startTunnelEnds } from './tunnel-ends.ts';

const program = path.join(import.meta.dirname, 'hop-proxy.ts');

export interface HopProxyOptions {
  readonly http1Port: number;
  readonly http2Port: number;
  readonly accessFile: string;
  /** Between tunnels: it listens on no plain port then. */
  readonly tunnels?: {
    readonly ports: Readonly<Record<HopProtocol, EndPorts>>;
    readonly certificate: Pick<CertificateFiles, 'roots' | 'certificate' | 'key'>;
  };
}

function startProxy(options: HopProxyOptions, dir: string, nodeFlags: readonly string[]): Service {
  const words = [process.execPath, ...nodeFlags, program, JSON.stringify(options)];
  return new Service({ name: 'ambient-hop', netns: null, words, logFile: path.join(dir, 'hop.log') });
}

function running(name: string, context: HopContext, proxy: Service, ends: readonly Service[] = []): RunningHop {
  const { http1Port, http2Port } = context;
  const services = [...ends, proxy];
  const urls = { http1: `http://${host}:${http1Port}`, http2: `http://${host}:${http2Port}` };
  return { name, ...urls, netns: null, proxies: [proxy], waypoint: null, services };
}

/** Starts it in plaintext, with `nodeFlags`. */
export const startAmbientHop =
  (nodeFlags: readonly string[]): StartHop =>
  async (context) => {
    const { dir, http1Port, http2Port } = context;
    const proxy = startProxy({ http1Port, http2Port, accessFile: path.join(dir, 'access.log') }, dir, nodeFlags);
    return running('ambient', context, proxy);
  };

/** Starts it between tunnels, with `nodeFlags`. */
export const startAmbientTunnelHop =
  (nodeFlags: readonly string[]): StartHop =>
  async (context) => {
    const { dir, http1Port, http2Port, certificates } = context;
    const tunnels = { ports: endPorts(context), certificate: certificates.server };
    const options = { http1Port, http2Port, accessFile: path.join(dir, 'access.log'), tunnels };
    return running('ambient-mtls', context, startProxy(options, dir, nodeFlags), startTunnelEnds(context));
  };

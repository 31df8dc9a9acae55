// Our HTTP path as a hop of plaintext: the waypoint's engine behind a plain listener, in one process.
import path from 'node:path';
import { Service } from '../processes.ts';
import { type HopContext, host, type RunningHop, type StartHop } from './hop.ts';

const program = path.join(import.meta.dirname, 'hop-proxy.ts');

export interface HopProxyOptions {
  readonly http1Port: number;
  readonly http2Port: number;
  readonly accessFile: string;
}

/** Starts it with `nodeFlags`. */
export const startAmbientHop =
  (nodeFlags: readonly string[]): StartHop =>
  async (context: HopContext): Promise<RunningHop> => {
    const { dir, http1Port, http2Port } = context;
    const options: HopProxyOptions = { http1Port, http2Port, accessFile: path.join(dir, 'access.log') };
    const words = [process.execPath, ...nodeFlags, program, JSON.stringify(options)];
    const proxy = new Service({ name: 'ambient-hop', netns: null, words, logFile: path.join(dir, 'hop.log') });
    return {
      name: 'ambient',
      http1: `http://${host}:${http1Port}`,
      http2: `http://${host}:${http2Port}`,
      proxy,
      services: [proxy],
    };
  };

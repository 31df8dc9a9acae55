// No proxy at all: what the network and the server can do.
import { serverAddress } from '../topology.ts';
import { type RunningPath, type StartPath, serverPort } from './path.ts';

/** The path without anything on it. */
export const startDirect: StartPath = async ({ topology }): Promise<RunningPath> => ({
  name: 'direct',
  topology,
  origin: `http://${serverAddress}:${serverPort}`,
  proxies: [],
  services: [],
});

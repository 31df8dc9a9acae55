// The way to an API server that a kubeconfig file shows, as far as the suite needs it: tokens and client certificates.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { readYaml } from '../../src/config/yaml.ts';
import type { Target } from './api-client.ts';

interface Config {
  readonly clusters: readonly { readonly name: string; readonly cluster: Readonly<Record<string, string>> }[];
  readonly users: readonly { readonly name: string; readonly user: Readonly<Record<string, string>> }[];
  readonly contexts: readonly { readonly name: string; readonly context: { cluster: string; user: string } }[];
  readonly 'current-context': string;
}

/** Reads the current context of `file`. */
export function targetOfKubeconfig(file: string): Target {
  const config = readYaml(readFileSync(file, 'utf8'), file)[0]?.value as unknown as Config;
  const context = config.contexts.find(({ name }) => name === config['current-context'])?.context;
  const cluster = config.clusters.find(({ name }) => name === context?.cluster)?.cluster ?? {};
  const user = config.users.find(({ name }) => name === context?.user)?.user ?? {};
  const pem = (fields: Readonly<Record<string, string>>, name: string): string | undefined => {
    const data = fields[`${name}-data`];
    if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8');
    const from = fields[name];
    return from === undefined ? undefined : readFileSync(path.resolve(path.dirname(file), from), 'utf8');
  };
  const parts = {
    caPem: pem(cluster, 'certificate-authority'),
    token: user.token,
    certPem: pem(user, 'client-certificate'),
    keyPem: pem(user, 'client-key'),
  };
  const known = Object.fromEntries(Object.entries(parts).filter(([, value]) => value !== undefined));
  return { url: cluster.server ?? '', ...known };
}

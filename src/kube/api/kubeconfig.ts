// A kubeconfig file, as far as it says where the API server is and who we are: client certificates, tokens, and
// programs that print a token (the `exec` of client.authentication.k8s.io). Names in it are relative to its folder.
import { dirname, resolve } from 'node:path';
import { thereIs } from '../../base/nearest-name.ts';
import { placedError, readYaml } from '../../config/yaml.ts';
import { ObjectReader } from '../object-reader.ts';
import { type KubeAccess, readText, type TlsSettings } from './access.ts';
import { ExecCredential } from './exec-credential.ts';

/**
 * The cluster and user of `contextName`, or of the file's current context when it is ''.
 * @throws MeshError INPUT_UNREADABLE or CONFIG_INVALID with file, line and column.
 */
export function kubeconfigAccess(file: string, contextName = ''): KubeAccess {
  const document = readYaml(readText(file), file)[0];
  if (document === undefined) {
    throw placedError('CONFIG_INVALID', { file, line: 1, column: 1 }, 'the kubeconfig file is empty');
  }
  const config = new ObjectReader(document, [], document.value);
  const name = contextName === '' ? config.string('current-context', '') : contextName;
  const context = named(config, 'contexts', name).object('context');
  const cluster = named(config, 'clusters', context.string('cluster')).object('cluster');
  const user = named(config, 'users', context.string('user')).object('user');
  const folder = dirname(resolve(file));
  const server = cluster.string('server').replace(/\/+$/, '');
  if (!/^https?:\/\/[^/]/.test(server)) cluster.fail('server', 'must be a URL such as https://10.0.0.1:6443');
  if (cluster.has('proxy-url')) cluster.fail('proxy-url', 'is not supported; reach the API server directly');
  if (user.has('auth-provider')) user.fail('auth-provider', 'is not supported since Kubernetes 1.26; use exec');
  const exec = user.has('exec') ? new ExecCredential(user.object('exec'), folder) : null;
  const bearer = bearerOf(user, folder);
  return {
    server,
    namespace: context.string('namespace', 'default') || 'default',
    tls: () => ({ ...tlsOfCluster(cluster, folder), ...tlsOfUser(user, folder), ...exec?.tls() }),
    authorization: exec === null ? bearer : (isRefused) => exec.authorization(isRefused),
  };
}

function named(config: ObjectReader, list: string, name: string): ObjectReader {
  const found = config.objects(list).find((one) => one.fields['name'] === name);
  if (found !== undefined) return found;
  if (name === '') return config.fail(list, 'has no current context');
  const names = config.objects(list).map((one) => String(one.fields['name']));
  return config.fail(list, `has no entry called "${name}"; ${thereIs(name, names, 'it has')}`);
}

function bearerOf(user: ObjectReader, folder: string): () => string | null {
  if (user.has('tokenFile')) {
    const file = resolve(folder, user.string('tokenFile'));
    return () => `Bearer ${readText(file).trim()}`;
  }
  if (user.has('token')) {
    const token = user.string('token');
    return () => `Bearer ${token}`;
  }
  if (!user.has('username')) return () => null;
  const pair = `${user.string('username')}:${user.string('password', '')}`;
  return () => `Basic ${Buffer.from(pair).toString('base64')}`;
}

function tlsOfCluster(cluster: ObjectReader, folder: string): TlsSettings {
  const ca = pemOf(cluster, 'certificate-authority', folder);
  const servername = cluster.string('tls-server-name', '');
  return {
    ...(ca === null ? {} : { ca }),
    ...(servername === '' ? {} : { servername }),
    ...(cluster.boolean('insecure-skip-tls-verify', false) ? { rejectUnauthorized: false } : {}),
  };
}

function tlsOfUser(user: ObjectReader, folder: string): TlsSettings {
  const cert = pemOf(user, 'client-certificate', folder);
  const key = pemOf(user, 'client-key', folder);
  return cert === null || key === null ? {} : { cert, key };
}

/** `KEY-data` in Base64, or the file that `KEY` names. */
function pemOf(object: ObjectReader, key: string, folder: string): string | null {
  if (object.has(`${key}-data`)) return Buffer.from(object.string(`${key}-data`), 'base64').toString('utf8');
  return object.has(key) && object.string(key) !== '' ? readText(resolve(folder, object.string(key))) : null;
}

// The files of a pod, on the lab's tmpfs: volumes, the service account's token, resolv.conf, hosts, hostname.
//
// A pod sees the host's file system, with a `/run` of its own in place of the lab's, and its volumes bound over it.
import { chmodSync, existsSync, lstatSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { dataOf, fieldOf, hostnameOf, type Lookup } from './environment.ts';
import type { Container, KeyToPath, Pod, ProjectedSource, Volume } from './objects.ts';
import { podIps } from './objects.ts';

export const accountDir = '/var/run/secrets/kubernetes.io/serviceaccount';
const accountVolume = 'kube-api-access';
const tokenSeconds = 3600;

export interface TokenRequest {
  readonly audience: string | undefined;
  readonly lifetimeS: number;
}

export interface VolumeInput {
  readonly pod: Pod;
  /** The folder of this pod, inside the lab. */
  readonly dir: string;
  readonly lookup: Lookup;
  /** A token of the pod's service account, bound to the pod. */
  readonly token: (request: TokenRequest) => string;
  /** PEM of what signs for the cluster, '' while there is none. */
  readonly clusterRoots: () => string;
  readonly dns: { readonly servers: readonly string[]; readonly domain: string };
}

/** A file of a volume that goes out of date. */
export interface TokenFile {
  readonly file: string;
  readonly request: TokenRequest;
}

/** A ConfigMap or Secret whose keys are files of a volume. */
interface KeyedSource {
  readonly kind: 'ConfigMap' | 'Secret';
  readonly name: string;
  readonly dir: string;
  readonly how: { readonly items?: readonly KeyToPath[]; readonly optional?: boolean };
  /** Files that its keys have become. */
  files: ReadonlySet<string>;
}

export interface Mount {
  /** Path on the lab's tmpfs. */
  readonly source: string;
  /** Path as the container sees it. */
  readonly target: string;
}

/** Everything a pod's containers mount, made once per pod. `prepare` throws nothing: what cannot be is in `problem`. */
export class PodFiles {
  readonly #input: VolumeInput;
  readonly #tokens: TokenFile[] = [];
  readonly #sources: KeyedSource[] = [];
  #problem: string | null = null;

  constructor(input: VolumeInput) {
    this.#input = input;
  }

  get problem(): string | null {
    return this.#problem;
  }

  /** The folder that becomes the pod's `/run`. */
  get runDir(): string {
    return path.join(this.#input.dir, 'run');
  }

  prepare(): void {
    const { pod, dir } = this.#input;
    mkdirSync(path.join(this.runDir, 'lock'), { recursive: true });
    writeFileSync(path.join(dir, 'hostname'), `${hostnameOf(pod)}\n`);
    writeFileSync(path.join(dir, 'resolv.conf'), this.#resolvConf());
    writeFileSync(path.join(dir, 'hosts'), this.#hosts());
    for (const volume of this.#volumes()) this.#fill(volume);
  }

  /** Tries again what was missing: a ConfigMap may have come in the meantime. */
  prepareAgain(): void {
    this.#problem = null;
    this.#tokens.length = 0;
    this.#sources.length = 0;
    for (const volume of this.#volumes()) this.#fill(volume);
  }

  /** Writes tokens anew; called well before they end. */
  refreshTokens(): void {
    for (const { file, request } of this.#tokens) writeWhole(file, this.#input.token(request));
  }

  /**
   * Writes the files of a ConfigMap or Secret anew after a change, as a kubelet does: what is mounted as a whole volume
   * follows, a `subPath` and the environment stay as they were. Files of keys that are gone go too.
   */
  refresh(kind: string, name: string): void {
    for (const source of this.#sources) if (source.kind === kind && source.name === name) this.#write(source);
  }

  /** The mounts of a container, in the order in which they are made; a string says why one cannot be. */
  mountsOf(container: Container): readonly Mount[] | string {
    const { dir, pod } = this.#input;
    const volumes = this.#volumes();
    const mounts: Mount[] = ['resolv.conf', 'hosts', 'hostname']
      .filter((name) => pod.spec.hostNetwork !== true || name === 'resolv.conf')
      .map((name) => ({ source: path.join(dir, name), target: `/etc/${name}` }));
    const wanted = [...(container.volumeMounts ?? [])] as { name: string; mountPath: string; subPath?: string }[];
    if (volumes.some((each) => each.name === accountVolume) && !wanted.some((each) => each.mountPath === accountDir)) {
      wanted.push({ name: accountVolume, mountPath: accountDir });
    }
    for (const { name, mountPath, subPath } of wanted) {
      const volume = volumes.find((each) => each.name === name);
      if (volume === undefined) return `the pod has no volume '${name}'`;
      const whole = volume.hostPath?.path ?? path.join(dir, 'volumes', name);
      const source = subPath === undefined ? whole : path.join(whole, subPath);
      const target = this.#mountPoint(source, mountPath);
      if (target === null) {
        return `mountPath ${mountPath} is not on this machine, and the lab makes no folder on the host; use one that exists, or one under /run or /etc`;
      }
      mounts.push({ source, target });
    }
    return mounts.filter((mount) => existsSync(mount.target));
  }

  remove(): void {
    rmSync(this.#input.dir, { recursive: true, force: true });
  }

  /**
   * Where to bind a volume so that it shows at `mountPath`: below `/run` that is in the folder which becomes `/run`.
   */
  #mountPoint(source: string, mountPath: string): string | null {
    const below = /^\/(?:var\/)?run\/(.+)$/.exec(path.normalize(mountPath))?.[1];
    const target = below === undefined ? mountPath : path.join(this.runDir, below);
    const mayMake = below !== undefined || mountPath.startsWith('/etc/');
    try {
      if (!existsSync(target) && mayMake) {
        if (existsSync(source) && !lstatSync(source).isDirectory()) {
          mkdirSync(path.dirname(target), { recursive: true });
          writeFileSync(target, '');
        } else mkdirSync(target, { recursive: true });
      }
    } catch {
      return null; // A folder of the host that stands in the way.
    }
    return existsSync(target) ? target : null;
  }

  #volumes(): readonly Volume[] {
    const { spec } = this.#input.pod;
    const own = spec.volumes ?? [];
    if (spec.automountServiceAccountToken === false) return own;
    const sources: ProjectedSource[] = [
      { serviceAccountToken: { path: 'token', expirationSeconds: tokenSeconds } },
      { downwardAPI: { items: [{ path: 'namespace', fieldRef: { fieldPath: 'metadata.namespace' } }] } },
    ];
    return [...own, { name: accountVolume, projected: { sources } }];
  }

  #fill(volume: Volume): void {
    const dir = path.join(this.#input.dir, 'volumes', volume.name);
    mkdirSync(dir, { recursive: true });
    if (volume.emptyDir !== undefined) chmodSync(dir, 0o777); // whoever the container runs as
    if (volume.name === accountVolume) writeWhole(path.join(dir, 'ca.crt'), this.#input.clusterRoots());
    if (volume.configMap !== undefined) this.#fillFrom(dir, 'ConfigMap', volume.configMap.name, volume.configMap);
    if (volume.secret !== undefined) this.#fillFrom(dir, 'Secret', volume.secret.secretName, volume.secret);
    if (volume.downwardAPI !== undefined) this.#project(dir, { downwardAPI: volume.downwardAPI });
    for (const source of volume.projected?.sources ?? []) this.#project(dir, source);
    const known = ['emptyDir', 'configMap', 'secret', 'downwardAPI', 'projected', 'hostPath'];
    const kind = Object.keys(volume).find((key) => key !== 'name' && !known.includes(key));
    if (kind !== undefined) this.#problem ??= `volume ${volume.name}: the lab has no volumes of kind ${kind}`;
  }

  #project(dir: string, source: ProjectedSource): void {
    if (source.configMap !== undefined) this.#fillFrom(dir, 'ConfigMap', source.configMap.name, source.configMap);
    if (source.secret !== undefined) this.#fillFrom(dir, 'Secret', source.secret.name, source.secret);
    for (const item of source.downwardAPI?.items ?? []) {
      const value = item.fieldRef === undefined ? null : fieldOf(this.#input.pod, item.fieldRef.fieldPath);
      if (value !== null) writeWhole(inside(dir, item.path), value);
    }
    if (source.serviceAccountToken !== undefined) {
      const { audience, expirationSeconds = tokenSeconds, path: name } = source.serviceAccountToken;
      const token = { file: inside(dir, name), request: { audience, lifetimeS: expirationSeconds } };
      this.#tokens.push(token);
      writeWhole(token.file, this.#input.token(token.request));
    }
  }

  #fillFrom(dir: string, kind: KeyedSource['kind'], name: string, how: KeyedSource['how']): void {
    const source = { kind, name, dir, how, files: new Set<string>() };
    this.#sources.push(source);
    this.#problem ??= this.#write(source);
  }

  /** Returns what is missing, null when nothing is. */
  #write(source: KeyedSource): string | null {
    const { kind, name, dir, how, files: before } = source;
    const mayLack = how.optional === true;
    const object = this.#input.lookup(kind, name);
    if (object === undefined) return mayLack ? null : `${kind} ${name} is not there`;
    const data = dataOf(object);
    const files = new Set<string>();
    let problem: string | null = null;
    for (const item of how.items ?? Object.keys(data).map((key) => ({ key, path: key }))) {
      const value = data[item.key];
      if (value !== undefined) {
        const file = inside(dir, item.path);
        files.add(file);
        writeWhole(file, value);
      } else if (!mayLack) problem ??= `${kind} ${name} has no key ${item.key}`;
    }
    for (const file of before) if (!files.has(file)) rmSync(file, { force: true });
    source.files = files;
    return problem;
  }

  #resolvConf(): string {
    const { pod, dns } = this.#input;
    const search = [`${pod.metadata.namespace}.svc.${dns.domain}`, `svc.${dns.domain}`, dns.domain];
    return [
      ...dns.servers.map((server) => `nameserver ${server}`),
      `search ${search.join(' ')}`,
      'options ndots:5',
      '',
    ].join('\n');
  }

  #hosts(): string {
    const { pod, dns } = this.#input;
    const { subdomain, hostAliases = [] } = pod.spec;
    const name = hostnameOf(pod);
    const long = subdomain === undefined ? [] : [`${name}.${subdomain}.${pod.metadata.namespace}.svc.${dns.domain}`];
    return [
      '127.0.0.1 localhost',
      '::1 localhost ip6-localhost ip6-loopback',
      ...podIps(pod).map((ip) => [ip, ...long, name].join(' ')),
      ...hostAliases.map((alias) => [alias.ip, ...(alias.hostnames ?? [])].join(' ')),
      '',
    ].join('\n');
  }
}

/** `name` below `dir`, whatever dots it holds. */
function inside(dir: string, name: string): string {
  return path.join(dir, path.join('/', name));
}

/** Replaces a file whole: a reader sees the old one or the new one. */
function writeWhole(file: string, content: string | Buffer): void {
  mkdirSync(path.dirname(file), { recursive: true });
  const staged = `${file}.new`;
  writeFileSync(staged, content, { mode: 0o644 });
  renameSync(staged, file);
}

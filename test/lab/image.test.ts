// The image without a registry: its root file system is made as the Dockerfile makes it, and the mesh's own programs
// run from it in a lab, with the rights that an installation gives them. Needs root, and Debian's mirror.
import assert from 'node:assert/strict';
import { globSync, lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { packagesIn, readPackageList } from '../../build/debian-packages.ts';
import { buildPackage } from '../../build/package.ts';
import { imageUserId, makeRootfs } from '../../build/rootfs.ts';
import { programSecurity } from '../../src/install/program-security.ts';
import { readValues } from '../../src/install/values.ts';
import type { StatusView } from '../../src/model/views.ts';
import { document, namespace, node1, node2, pod, service, startLab, type TestLab, twoNodes } from './harness.ts';

const timeout = { timeout: 60_000 };
const bytesMax = 200_000_000;
const identity = (account: string): string => `spiffe://cluster.local/ns/app/sa/${account}`;
const echoPorts = [{ name: 'http', containerPort: 8080 }];
const gateway = document({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  metadata: { name: 'wp', namespace: 'app' },
  spec: { gatewayClassName: 'ambient-waypoint', listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }] },
});
const route = document({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: { name: 'marked', namespace: 'app' },
  spec: {
    parentRefs: [{ group: '', kind: 'Service', name: 'web' }],
    rules: [
      {
        filters: [
          { type: 'ResponseHeaderModifier', responseHeaderModifier: { set: [{ name: 'x-by', value: 'marked' }] } },
        ],
        backendRefs: [{ name: 'web', port: 80 }],
      },
    ],
  },
});
const web = document({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'app', labels: { 'ambient.mesh/use-waypoint': 'wp' } },
  spec: { selector: { app: 'echo' }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
});
const manifests =
  twoNodes +
  namespace('app') +
  gateway +
  route +
  web +
  service('plain', 80, 8080, { app: 'echo' }) +
  pod('client', { node: node1 }) +
  pod('echo', { node: node2, image: 'ambient/echo', ports: echoPorts });

interface Running {
  readonly pid: number;
  readonly parent: number;
  readonly program: string;
  readonly uid: number;
  readonly capabilities: bigint;
  readonly bounding: bigint;
  readonly noNewPrivileges: boolean;
  readonly rootMount: string;
}

/** The programs whose root is the image, without what they run themselves (`nft`), by what the kernel says of them. */
function runningIn(root: string): Running[] {
  const all = readdirSync('/proc').flatMap((pid): Running[] => {
    try {
      if (!/^\d+$/.test(pid) || readlinkSync(`/proc/${pid}/root`) !== root) return [];
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      const field = (name: string): string => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1] ?? '';
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      const mounts = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').split('\n');
      const rootMount = mounts.findLast((line) => line.split(' ')[4] === '/')?.split(' ')[5] ?? '';
      return [
        {
          pid: Number(pid),
          parent: Number(field('PPid')),
          program: /ambient-(node|waypoint|controller)\b/.exec(command)?.[1] ?? command,
          uid: Number(field('Uid')),
          capabilities: BigInt(`0x${field('CapEff')}`),
          bounding: BigInt(`0x${field('CapBnd')}`),
          noNewPrivileges: field('NoNewPrivs') === '1',
          rootMount,
        },
      ];
    } catch {
      return []; // It has just ended.
    }
  });
  const pids = new Set(all.map(({ pid }) => pid));
  return all.filter(({ parent }) => !pids.has(parent));
}

describe('the image', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'ambient-image-test-'));
  const root = path.join(folder, 'root');
  let lab: TestLab;

  before(async () => {
    makeRootfs(root, await buildPackage());
    const rootfs = { dir: root, ...programSecurity(await readValues({})) };
    lab = await startLab(manifests, { rootfs, waypointConfig: { log: { format: 'json' } } });
  });
  after(async () => {
    await lab?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('holds what its list names, with version and licence, and nothing that installs or changes users', () => {
    const sbom = JSON.parse(readFileSync(path.join(root, 'usr/lib/ambient/sbom.cdx.json'), 'utf8')) as {
      components: { name: string; version: string; purl: string; licenses: unknown[] }[];
    };
    const { wanted, dropped } = readPackageList();
    const debian = packagesIn(root).map(({ name }) => name);
    for (const name of wanted) assert.ok(debian.includes(name), `${name} is not in the image`);
    for (const name of [...dropped, 'apt', 'bash', 'coreutils']) {
      assert.ok(!debian.includes(name), `${name} is in the image`);
    }
    for (const name of [...debian, 'ambient-mesh', 'undici', `node-linux-${process.arch}`]) {
      const found = sbom.components.find((each) => each.name === name);
      assert.ok(found !== undefined && found.version !== '' && found.licenses.length > 0, `${name} is not listed`);
    }
    const everything = globSync('**', { cwd: root }).map((name) => ({ name, stat: lstatSync(path.join(root, name)) }));
    const files = everything.filter(({ stat }) => stat.isFile());
    assert.deepEqual(
      files.filter(({ stat }) => (stat.mode & 0o6002) !== 0).map(({ name }) => name),
      [],
      'nobody becomes somebody else, and nobody else writes',
    );
    const sizes = new Map(files.map(({ stat }) => [stat.ino, stat.size]));
    const bytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
    assert.ok(bytes < bytesMax, `${bytes} bytes`);
    assert.deepEqual([...new Set(everything.map(({ stat }) => stat.mtimeMs))].length, 1, 'one time for all files');
  });

  test('every program runs from it, read-only, with the rights of its manifest and no more', () => {
    const programs = runningIn(root);
    const names = programs.map(({ program }) => program).sort();
    assert.deepEqual(names, ['controller', 'node', 'node', 'waypoint']);
    const netAdmin = 1n << 12n;
    for (const { program, uid, capabilities, bounding, noNewPrivileges, rootMount } of programs) {
      assert.equal(uid, program === 'node' ? 0 : imageUserId, program);
      assert.equal(capabilities, program === 'node' ? netAdmin : 0n, program);
      assert.equal(bounding, capabilities, program);
      assert.ok(noNewPrivileges, program);
      assert.match(rootMount, /^ro\b/, program);
    }
    assert.equal(statSync(path.join(root, 'usr/bin/node')).uid, 0);
  });

  test('every proxy is in step', async () => {
    const { proxies } = (await lab.client.admin('controller', '', '/status')) as StatusView;
    const rows = proxies.map(({ kind, ready, inStep }) => `${kind} ${ready} ${inStep}`).sort();
    assert.deepEqual(rows, ['node true true', 'node true true', 'waypoint true true']);
  });

  test('carries mutual TLS between the nodes', timeout, async () => {
    await request('plain');
    const record = await lab.accessRecord(
      node2,
      'the request',
      ({ direction, source }) => direction === 'inbound' && source.identity === identity('client'),
    );
    assert.equal(record.transport, 'mtls');
    assert.equal(record.destination.identity, identity('echo'));
  });

  test('its waypoint routes', timeout, async () => {
    const answer = await request('web');
    assert.match(answer, /^HTTP\/1\.1 200 /);
    assert.match(answer, /^x-by: marked\r$/im);
  });

  /** Asks a service from the client's pod once; answers all that came. */
  async function request(name: string): Promise<string> {
    const [found] = await lab.client.get('Service', name, 'app');
    const agent = await lab.agent('client');
    const connection = await agent.connect((found!.spec as { clusterIP: string }).clusterIP, 80);
    await connection.write(`GET / HTTP/1.1\r\nhost: ${name}\r\nconnection: close\r\n\r\n`);
    const { text } = await connection.untilEnded();
    await connection.end();
    return text;
  }
});

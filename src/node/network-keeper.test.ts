import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/manual-clock.ts';
import type { CommandRunner } from '../capture/command.ts';
import { createLogger } from '../telemetry/logger.ts';
import { NetworkKeeper, type NetworkKeeperOptions } from './network-keeper.ts';

const links = [
  { ifname: 'lo', addr_info: [{ local: '127.0.0.1', prefixlen: 8 }] },
  { ifname: 'eth0', addr_info: [{ local: '192.168.0.10', prefixlen: 24 }] },
];
const veth = { ifname: 'cali1', link_netnsid: 0, linkinfo: { info_kind: 'veth' }, addr_info: [] };

/** A keeper on a pretended node: `node` is what `ip` prints, `kernel` what it says when something changed. */
function keep(options: Partial<NetworkKeeperOptions> = {}) {
  const node = { links: [...links] as object[], routes: [] as object[], fails: false };
  const run: CommandRunner = async (_tool, args) => {
    if (node.fails) return { exitCode: 1, stdout: '', stderr: 'no netlink' };
    const list = args.includes('address') ? node.links : args.includes('-4') ? node.routes : [];
    return { exitCode: 0, stdout: JSON.stringify(list), stderr: '' };
  };
  const clock = new ManualClock(0);
  let kernel = (): void => {};
  let changes = 0;
  const keeper = new NetworkKeeper({
    podCidrs: [],
    meshCidrs: [],
    isOn: true,
    clock,
    random: () => 0,
    log: createLogger({ level: 'silent', format: 'json' }),
    onChange: () => {
      changes += 1;
    },
    run,
    follow: ({ onChange }) => {
      kernel = onChange;
      return () => {};
    },
    ...options,
  });
  return { keeper, node, clock, kernel: () => kernel(), changes: () => changes };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('before the node is read nothing is ready, and what is known is captured', async () => {
  const { keeper } = keep();
  assert.equal(keeper.pending(), 'not read yet');
  keeper.know({ networks: ['10.244.1.0/24'], addresses: ['10.50.0.1'] }, ['10.244.1.0/24', '10.244.2.0/24']);
  const { podCidrs, meshCidrs, links: found } = keeper.networks;
  assert.deepEqual([podCidrs, found.otherLinks], [['10.50.0.1', '10.244.1.0/24'], null]);
  assert.deepEqual(meshCidrs, ['10.50.0.1', '10.244.1.0/24', '10.244.2.0/24']);
  await keeper.start();
  assert.equal(keeper.pending(), null);
  assert.deepEqual(keeper.networks.links.otherLinks, []);
  await keeper.close();
});

test('a pod that appears on the node is found when the kernel says that something changed', async () => {
  const { keeper, node, clock, kernel, changes } = keep();
  await keeper.start();
  node.links.push(veth);
  node.routes.push({ dst: '10.50.1.2', dev: 'cali1', scope: 'link' });
  kernel();
  kernel();
  clock.advance(5);
  await settle();
  assert.deepEqual([keeper.networks.podCidrs, changes()], [['10.50.1.2'], 1]);
  kernel();
  clock.advance(5);
  await settle();
  assert.equal(changes(), 1, 'what is as it was is no change');
  await keeper.close();
});

test('what the kernel does not say is found by looking now and then', async () => {
  const { keeper, node, clock, changes } = keep();
  await keeper.start();
  node.links.push({
    ifname: 'cni0',
    address: 'aa',
    linkinfo: { info_kind: 'bridge' },
    addr_info: [{ local: '10.9.0.1', prefixlen: 24 }],
  });
  clock.advance(30_000);
  await settle();
  assert.deepEqual([keeper.view.bridges, changes()], [['cni0'], 1]);
  await keeper.close();
});

test('a reading that fails leaves the one before in force', async () => {
  const { keeper, node, clock, kernel } = keep();
  node.links.push(veth);
  node.routes.push({ dst: '10.50.1.2', dev: 'cali1', scope: 'link' });
  await keeper.start();
  node.fails = true;
  kernel();
  clock.advance(5);
  await settle();
  assert.deepEqual([keeper.networks.podCidrs, keeper.pending()], [['10.50.1.2'], null]);
  assert.match(keeper.view.reason ?? '', /no netlink/);
  await keeper.close();
});

test('what is configured stands, links included only as far as bridges go', async () => {
  const { keeper, node } = keep({ podCidrs: ['10.9.0.0/16'], meshCidrs: ['10.96.0.0/16'] });
  node.links.push(veth, {
    ifname: 'cni0',
    address: 'aa',
    linkinfo: { info_kind: 'bridge' },
    addr_info: [{ local: '10.9.0.1', prefixlen: 24 }],
  });
  node.routes.push({ dst: '10.50.1.2', dev: 'cali1', scope: 'link' });
  await keeper.start();
  keeper.know({ networks: ['10.244.1.0/24'], addresses: ['10.50.1.2'] }, []);
  assert.deepEqual(keeper.view, {
    source: 'configured',
    podCidrs: ['10.9.0.0/16'],
    meshCidrs: ['10.9.0.0/16', '10.96.0.0/16'],
    bridges: ['cni0'],
    otherLinks: null,
    readAt: '1970-01-01T00:00:00.000Z',
    reason: null,
  });
  await keeper.close();
});

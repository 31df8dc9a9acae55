// The backend against a pretended kernel: what it runs, and what it makes of the answers. The real kernel:
// test/lab/namespaces.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshError } from '../base/errors.ts';
import type { CommandResult, CommandRunner } from './command.ts';
import { type DesiredCapture, noPodLinks } from './desired.ts';
import { HostCapture } from './host-backend.ts';
import { readTable } from './readback.ts';

const desired: DesiredCapture = {
  podCidrs: ['10.244.1.0/24'],
  bypass: [],
  links: noPodLinks,
  ports: { outbound: 15001, inbound: 15006, hbone: 15008 },
  failOpen: false,
};
const fine: CommandResult = { exitCode: 0, stdout: '', stderr: '' };
const listing = (rules: object[]) =>
  JSON.stringify({ nftables: [{ metainfo: {} }, { chain: { name: 'owner_5', handle: 1 } }, ...rules] });

/** A runner that answers `nft -f -` with `load`, and everything else as a machine in good order would. */
function runner(load: (text: string) => CommandResult, log: string[]): CommandRunner {
  return async (tool, args, input = '') => {
    log.push([tool, ...args].join(' '));
    if (tool === 'nft') return args[0] === '-f' ? load(input) : { ...fine, stdout: listing([{ rule: { handle: 7 } }]) };
    if (args.includes('rule')) return { ...fine, stdout: '90: from all fwmark 0x539 lookup 539\n' };
    return { ...fine, stdout: 'local default dev lo scope host\n' };
  };
}

test('what is applied already is not applied again; a pod more is one small transaction', async () => {
  const loads: string[] = [];
  const capture = new HostCapture(
    5,
    runner((text) => {
      loads.push(text);
      return fine;
    }, []),
  );
  await capture.apply(desired);
  await capture.apply({ ...desired });
  await capture.apply({ ...desired, bypass: ['10.244.1.2'] });
  assert.equal(loads.length, 2);
  assert.match(loads[0] ?? '', /chain before_dnat/);
  assert.match(loads[1] ?? '', /^flush set inet ambient pods4\n/);
});

test('a small transaction that fails is followed by the whole', async () => {
  const loads: string[] = [];
  const load = (text: string) => {
    loads.push(text);
    return text.startsWith('flush') ? { ...fine, exitCode: 1, stderr: 'No such file or directory' } : fine;
  };
  const capture = new HostCapture(5, runner(load, []));
  await capture.apply(desired);
  await capture.apply({ ...desired, bypass: ['10.244.1.2'] });
  assert.equal(loads.length, 3);
  assert.match(loads[2] ?? '', /elements = \{ 10\.244\.1\.2 \}/);
});

test('a refusal by the kernel is an error with a hint', async () => {
  const denied = { ...fine, exitCode: 1, stderr: 'Error: Operation not permitted\n' };
  const capture = new HostCapture(
    5,
    runner(() => denied, []),
  );
  await assert.rejects(capture.apply(desired), (error: unknown) => {
    assert.ok(error instanceof MeshError);
    assert.equal(error.code, 'CAPTURE_FAILED');
    assert.match(error.message, /run as root, or with CAP_NET_ADMIN/);
    return true;
  });
});

test('nothing is verified before something was applied', async () => {
  const capture = new HostCapture(
    5,
    runner(() => fine, []),
  );
  assert.equal((await capture.verify()).state, 'drifted');
});

test('handles and counters do not count as a change, a rule does', () => {
  const rule = (handle: number, packets: number, mark: number) =>
    readTable(listing([{ rule: { handle, expr: [{ counter: { packets, bytes: 1 } }, { mark }] } }]))?.structure;
  assert.equal(rule(1, 0, 3), rule(9, 1000, 3));
  assert.notEqual(rule(1, 0, 3), rule(1, 0, 4));
  assert.equal(readTable('no json'), null);
  assert.equal(readTable(listing([]))?.ownerMs, 5);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/manual-clock.ts';
import type { NodeFacts } from '../capture/node-check.ts';
import { createLogger } from '../telemetry/logger.ts';
import { CheckKeeper } from './check-keeper.ts';

const facts: NodeFacts = {
  backend: 'host',
  links: [],
  pinned: [],
  settings: { 'net/ipv4/ip_forward': '0' },
  rules: 'KUBE-SERVICES',
  legacyTables: [],
  policyRules: [],
  kernel: { tproxy: null, bridge: null },
  bridges: [],
  tracked: null,
};
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('findings are told when they are others than before, and looked for again', async () => {
  const clock = new ManualClock(0);
  const told: string[][] = [];
  let seen = facts;
  const keeper = new CheckKeeper({
    backend: 'host',
    isOn: true,
    clock,
    log: createLogger({ level: 'silent', format: 'json' }),
    onChange: (findings) => told.push(findings.map(({ id }) => id)),
    read: async () => seen,
  });
  keeper.start();
  clock.advance(2_000);
  await settle();
  clock.advance(300_000);
  await settle();
  seen = { ...facts, settings: {} };
  clock.advance(300_000);
  await settle();
  assert.deepEqual(told, [['ip-forward'], []]);
  keeper.close();
  seen = facts;
  clock.advance(300_000);
  await settle();
  assert.deepEqual(keeper.findings, []);
});

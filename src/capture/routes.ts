// The policy route that goes with the rules: a packet that carries our mark is delivered to this machine whatever its
// destination.
import { readFileSync, writeFileSync } from 'node:fs';
import { type CommandRunner, failed } from './command.ts';
import { fwmark, routeTable } from './ruleset.ts';

/** Before the rules that network plugins place at 512 and above, after the local table at 0. */
export const rulePreference = 90;
const markText = `0x${fwmark.toString(16)}`;
const rule = ['pref', `${rulePreference}`, 'fwmark', markText, 'lookup', `${routeTable}`];
const duplicateRulesMax = 32;

export type Family = '-4' | '-6';

/** The address families this machine has: IPv6 may be switched off. */
export function families(): readonly Family[] {
  try {
    const off = readFileSync('/proc/sys/net/ipv6/conf/lo/disable_ipv6', 'utf8').trim() !== '0';
    return off ? ['-4'] : ['-4', '-6'];
  } catch {
    return ['-4'];
  }
}

/** Makes rule and route of both families; what is there already stays. Throws `CAPTURE_FAILED` or `TOOL_MISSING`. */
export async function ensureRoutes(run: CommandRunner): Promise<void> {
  for (const family of families()) {
    const route = await run('ip', [
      family,
      'route',
      'replace',
      'local',
      'default',
      'dev',
      'lo',
      'table',
      `${routeTable}`,
    ]);
    if (route.exitCode !== 0) throw failed('ip', route.stderr);
    if (await hasRule(run, family)) continue;
    const added = await run('ip', [family, 'rule', 'add', ...rule]);
    if (added.exitCode !== 0 && !/File exists/.test(added.stderr)) throw failed('ip', added.stderr);
  }
}

/** Returns what is missing, in words; empty when rule and route are in place. */
export async function missingRoutes(run: CommandRunner): Promise<string[]> {
  const findings: string[] = [];
  for (const family of families()) {
    if (!(await hasRule(run, family)))
      findings.push(`ip ${family} rule fwmark ${markText} lookup ${routeTable} is missing`);
    const { exitCode, stdout } = await run('ip', [family, 'route', 'show', 'table', `${routeTable}`]);
    const present = exitCode === 0 && /^local default dev lo\b/m.test(stdout);
    if (!present) findings.push(`ip ${family} route local default dev lo table ${routeTable} is missing`);
  }
  return findings;
}

/** Removes rules and routes of both families. Idempotent. */
export async function removeRoutes(run: CommandRunner): Promise<void> {
  for (const family of families()) {
    for (let turn = 0; turn < duplicateRulesMax && (await hasRule(run, family)); turn++) {
      const removed = await run('ip', [family, 'rule', 'del', 'fwmark', markText, 'lookup', `${routeTable}`]);
      if (removed.exitCode !== 0) throw failed('ip', removed.stderr);
    }
    await run('ip', [family, 'route', 'flush', 'table', `${routeTable}`]); // fails when there is no such table
  }
}

async function hasRule(run: CommandRunner, family: Family): Promise<boolean> {
  const { exitCode, stdout, stderr } = await run('ip', [family, 'rule', 'show']);
  if (exitCode !== 0) throw failed('ip', stderr);
  return stdout.split('\n').some((line) => line.includes(`fwmark ${markText} lookup ${routeTable}`));
}

const migrateFile = '/proc/sys/net/ipv4/tcp_migrate_req';

/**
 * As `settings.ts` at once, for the namespace that the thread is in: connections that wait in the accept queue of a
 * closed listener move to another one of the port. Returns false where the kernel does not allow it.
 */
export function migrateAcceptQueuesNow(): boolean {
  try {
    if (readFileSync(migrateFile, 'utf8').trim() !== '1') writeFileSync(migrateFile, '1');
    return true;
  } catch {
    return false;
  }
}

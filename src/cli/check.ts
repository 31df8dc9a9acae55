// `ambientctl check`: is the mesh as it should be, and what to do where it is not. Everything is asked of the
// controller; `--pre` asks the cluster alone, before anything is installed.

import { setTimeout as sleep } from 'node:timers/promises';
import {
  type CheckCategory,
  certificateChecks,
  check as checkOf,
  hasFailed,
  hints,
  loadChecks,
  statusChecks,
} from '../analyze/checks.ts';
import { messageOf } from '../base/errors.ts';
import type { ProxyStateView, StatusView } from '../model/views.ts';
import { askProxies, connectedProxies } from './ask-proxies.ts';
import { collectCerts } from './certs.ts';
import { checkResult } from './check-report.ts';
import { type Command, type CommandContext, durationOption, flagOption } from './command.ts';
import type { Mesh } from './mesh.ts';
import { waiting } from './progress.ts';
import { adminView, meshOf } from './which-mesh.ts';

const againEveryMs = 1_000;
/** Exit 1 when a check failed. With `--wait` it is made again until all hold, or the time is over. */
export const check: Command = async (context) => {
  if (flagOption(context, 'pre')) {
    const { preChecks } = await import('./check-pre.ts');
    return checkResult(await preChecks(context));
  }
  const deadlineMs = Date.now() + durationOption(context, 'wait', 0);
  return waiting(context.io, { what: 'the checks' }, async (say, signal) => {
    for (;;) {
      const categories = await liveChecks(context);
      if (!hasFailed(categories) || Date.now() >= deadlineMs) return checkResult(categories);
      say(firstFailure(categories));
      await sleep(againEveryMs, undefined, { signal });
    }
  });
};

async function liveChecks(context: CommandContext): Promise<CheckCategory[]> {
  const mesh = await meshOf(context);
  let status: StatusView;
  try {
    status = (await adminView(mesh, 'controller', '/status', 'proxies')) as StatusView;
  } catch (error) {
    // Nothing else can be asked.
    return [
      { categoryName: 'controller', checks: [checkOf('the controller answers', messageOf(error), hints.controller)] },
    ];
  }
  const states = await askProxies<ProxyStateView>(mesh, await connectedProxies(mesh), '/state');
  const load = states.map(({ proxy, answer, problem }) => {
    return { who: `${proxy.kind} ${proxy.name}`, state: answer, problem };
  });
  return [
    ...statusChecks(status, await missingNodes(mesh, status)),
    loadChecks(load),
    certificateChecks(await collectCerts(mesh, Date.now())),
  ];
}

/** Nodes that should have a proxy, by the mesh itself. */
async function missingNodes(mesh: Mesh, { proxies }: StatusView): Promise<string[]> {
  const there = new Set(proxies.filter(({ kind, ready }) => kind === 'node' && ready).map(({ node }) => node));
  return (await mesh.nodes()).filter((node) => !there.has(node));
}

function firstFailure(categories: readonly CheckCategory[]): string {
  const first = categories.flatMap(({ checks }) => checks).find(({ result }) => result === 'error');
  return `${first?.description}: ${first?.error}`;
}

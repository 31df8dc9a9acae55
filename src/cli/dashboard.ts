// `ambientctl dashboard`: the live page of a mesh in a browser, through a port of this machine, until Ctrl-C.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { findTool } from '../../native-free/tools.ts';
import { MeshError } from '../base/errors.ts';
import { type Command, type CommandContext, flagOption, textOption } from './command.ts';
import type { CliIo } from './io.ts';
import { PageRelay } from './page-relay.ts';
import { meshOf } from './which-mesh.ts';

export const dashboardPages = ['graph', 'proxies', 'problems'] as const;

/** Serves until Ctrl-C. Stdout gets the address, and nothing else. */
export const dashboard: Command = async (context) => {
  const { io } = context;
  const page = pageOf(context.args[0] ?? 'graph');
  const interruption = io.interruption();
  const mesh = await meshOf(context);
  const relay = new PageRelay(mesh);
  const url = `${await relay.start(portOf(context))}${page === 'graph' ? '' : `#${page}`}`;
  try {
    // Said before anybody opens it: a controller that does not answer, or an older one that has no page.
    const first = await mesh.page('/', interruption);
    first.destroy();
    io.stdout.write(`${url}\n`);
    io.stderr.write(`the live page of ${mesh.title}; Ctrl-C ends it\n`);
    if (flagOption(context, 'browser') && textOption(context, 'show') !== 'url') openBrowser(io, url);
    if (!interruption.aborted) await once(interruption, 'abort');
    return 0;
  } finally {
    await relay.close();
  }
};

function pageOf(text: string): (typeof dashboardPages)[number] {
  const found = dashboardPages.find((one) => one === text);
  if (found !== undefined) return found;
  throw new MeshError('USAGE', { reason: `there is no page '${text}'; there is ${dashboardPages.join(', ')}` });
}

function portOf(context: CommandContext): number | null {
  const text = textOption(context, 'port');
  if (text === undefined) return null;
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new MeshError('USAGE', { reason: `--port '${text}' is no port` });
}

/** Where a person sits before a desktop; anywhere else the address has to do. */
function openBrowser(io: CliIo, url: string): void {
  const hasDesktop = Boolean(io.env.DISPLAY || io.env.WAYLAND_DISPLAY);
  const opener = io.isTerminal && hasDesktop ? findTool('xdg-open') : null;
  if (opener === null) return;
  spawn(opener, [url], { stdio: 'ignore', detached: true })
    .on('error', () => {})
    .unref();
}

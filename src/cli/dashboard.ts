// `ambientctl dashboard`: the live page of a mesh in a browser, through a port of this machine, until Ctrl-C.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { findTool } from '../../native-free/tools.ts';
import { MeshError } from '../base/errors.ts';
import { type Command, type CommandContext, textOption } from './command.ts';
import type { Mesh } from './mesh.ts';
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
    await look(mesh, interruption);
    io.stdout.write(`${url}\n`);
    io.stderr.write(`the live page of ${mesh.title}; Ctrl-C ends it\n`);
    openBrowser(context, url);
    if (!interruption.aborted) await once(interruption, 'abort');
    return 0;
  } finally {
    await relay.close();
  }
};

/** Said before anybody opens it: a controller that does not answer, one without a page, or an older one. */
async function look(mesh: Mesh, signal: AbortSignal): Promise<void> {
  const first = await mesh.page('/', signal);
  if (first.statusCode === 200) {
    first.destroy();
    return;
  }
  const reason = (await text(first)).trim();
  const hint = 'see docs/controller.md#the-live-page';
  throw new MeshError('NOT_REACHABLE', { what: `the live page of ${mesh.title}`, reason, hint });
}

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

/** Where it is asked for, or a person sits before a desktop; anywhere else the address has to do. */
function openBrowser({ io, options }: CommandContext, url: string): void {
  const isAsked = options['open'] === true;
  const hasDesktop = io.isTerminal && Boolean(io.env.DISPLAY || io.env.WAYLAND_DISPLAY);
  if (options['open'] === false || !(isAsked || hasDesktop)) return;
  const cannot = (reason: string): void => {
    if (isAsked) io.stderr.write(`cannot open a browser: ${reason}; open the address yourself\n`);
  };
  const opener = findTool('xdg-open');
  if (opener === null) {
    cannot('there is no xdg-open');
    return;
  }
  spawn(opener, [url], { stdio: 'ignore', detached: true })
    .on('error', (error) => cannot(error.message))
    .unref();
}

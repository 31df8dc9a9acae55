// `npm run screenshots [-- FOLDER]`: the pictures of docs/live-page.md. Runs the demo, with its waypoint, a payment
// service that fails and a slow inventory, and photographs the live page once there is traffic.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { messageOf } from '../../src/base/errors.ts';
import { projectFile } from '../../src/base/project-files.ts';
import { type PageOptions, TestBrowser } from './driver.ts';

/** A picture that is larger says more about the compressor than about the mesh. */
const bytesMax = 200_000;
/** Rates and quantiles are over a minute: they should have seen all of it, and nothing of how it began. */
const trafficMs = 75_000;
const readyTimeoutMs = 120_000;
const settleMs = 1_200;

interface Shot {
  readonly name: string;
  readonly hash: string;
  readonly options?: PageOptions;
}

const dark = { dark: true } as const;
const shots: readonly Shot[] = [
  { name: 'graph-light', hash: '' },
  { name: 'graph-dark', hash: '', options: dark },
  { name: 'edge', hash: '#/graph?edge=shop/checkout>shop/inventory' },
  { name: 'node', hash: '#/graph?node=shop/checkout', options: dark },
  { name: 'trouble', hash: '#/graph?trouble=1', options: dark },
  { name: 'proxies', hash: '#/proxies' },
  { name: 'problems', hash: '#/problems', options: dark },
  { name: 'phone', hash: '', options: { phone: true } },
  { name: 'phone-edge', hash: '#/graph?edge=shop/checkout>shop/inventory', options: { phone: true, ...dark } },
];

async function main(): Promise<void> {
  const { positionals } = parseArgs({ allowPositionals: true });
  const folder = path.resolve(positionals[0] ?? projectFile('docs/images'));
  mkdirSync(folder, { recursive: true });
  const browser = await TestBrowser.start();
  const demo = spawn(process.execPath, [projectFile('src/cli/demo.ts')], { stdio: ['ignore', 'ignore', 'pipe'] });
  try {
    const url = await addressOf(demo);
    // Somebody has to look, or nothing is counted.
    const first = await browser.openPage(url);
    await first.waitFor('[data-edge="shop/checkout>shop/inventory"]');
    await sleep(trafficMs);
    await first.close();
    for (const shot of shots) process.stdout.write(`${await take(browser, url, shot, folder)}\n`);
  } finally {
    await browser.close();
    demo.kill('SIGINT');
    if (demo.exitCode === null) await once(demo, 'exit');
  }
}

/** Where the demo says that its live page is. */
async function addressOf(demo: ChildProcess): Promise<string> {
  if (demo.stderr === null) throw new Error('nothing to read from the demo');
  const lines = createInterface({ input: demo.stderr });
  const timer = setTimeout(() => demo.kill('SIGINT'), readyTimeoutMs);
  try {
    for await (const line of lines) {
      const [url] = /http:\/\/127\.0\.0\.1:\d+\//.exec(line) ?? [];
      if (url !== undefined) return url;
    }
  } finally {
    clearTimeout(timer);
    demo.stderr.resume();
  }
  throw new Error('the demo ended without an address of its live page');
}

async function take(browser: TestBrowser, url: string, { name, hash, options }: Shot, folder: string): Promise<string> {
  const page = await browser.openPage(`${url}${hash}`, options);
  try {
    if (/(?:node|edge)=/.test(hash)) await page.waitFor('#panel[data-state="told"]');
    await sleep(settleMs);
    const file = path.join(folder, `${name}.png`) as `${string}.png`;
    await page.screenshot(file);
    const { size } = statSync(file);
    if (size > bytesMax) throw new Error(`${file} has ${size} bytes, at most ${bytesMax}`);
    return `${path.relative(process.cwd(), file)}: ${Math.round(size / 1000)} kB`;
  } finally {
    await page.close();
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`screenshots: ${messageOf(error)}\n`);
  process.exitCode = 1;
}

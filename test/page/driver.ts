// A real Chromium that looks at the live page as a person does: opens it, reads it, clicks, types. One browser for
// many pages; what the page says on its console, asks of other hosts, or is refused by its policy is kept for the test.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import puppeteer, { type Browser, type BrowserContext, type KeyInput, type Page } from 'puppeteer-core';
import { findTool, installLine } from '../../native-free/tools.ts';

const launchTimeoutMs = 30_000;
const waitTimeoutMs = 20_000;

export interface PageOptions {
  /** In pixels; 1280 by 800 unless said. */
  readonly width?: number;
  readonly height?: number;
  readonly dark?: boolean;
  readonly reducedMotion?: boolean;
  /** A phone: with touch, and a viewport as wide as the screen. */
  readonly phone?: boolean;
}

/** An edge as it is shown. */
export interface ShownEdge {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  /** All that its label and its description for screen readers say. */
  readonly text: string;
  /** `mtls`, `same-node`, `plaintext`, `mixed`. */
  readonly transport: string;
  /** `ok`, `warning`, `error`. */
  readonly state: string;
}

export interface ShownNode {
  readonly id: string;
  readonly text: string;
  readonly state: string;
}

export interface ShownProblem {
  readonly severity: string;
  readonly code: string;
  readonly text: string;
}

/** Chromium with a profile of its own in a temporary folder, until `close`. */
export class TestBrowser {
  readonly #browser: Browser;
  readonly #profile: string;

  private constructor(browser: Browser, profile: string) {
    this.#browser = browser;
    this.#profile = profile;
  }

  /** Throws, with the line to type, where there is no Chromium. */
  static async start(): Promise<TestBrowser> {
    const executablePath = findTool('chromium') ?? findTool('chromium-browser') ?? findTool('google-chrome');
    if (executablePath === null) {
      const line = installLine(['chromium'], { isRoot: process.getuid?.() === 0, osRelease: 'ID=debian' });
      throw new Error(`chromium is needed for this test and is not there; to install it: ${line}`);
    }
    const profile = mkdtempSync(path.join(tmpdir(), 'ambient-chromium-'));
    const browser = await puppeteer.launch({
      executablePath,
      headless: true,
      userDataDir: profile,
      timeout: launchTimeoutMs,
      protocolTimeout: launchTimeoutMs,
      args: [
        ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
        '--disable-dev-shm-usage',
        '--disable-gpu',
        '--no-first-run',
        '--no-proxy-server',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-extensions',
        '--disable-sync',
        '--force-color-profile=srgb',
        '--lang=en-GB',
      ],
    });
    return new TestBrowser(browser, profile);
  }

  /** Opens an address in a window of its own, and waits until the graph has been drawn once. */
  async openPage(url: string, options: PageOptions = {}): Promise<LivePage> {
    const context = await this.#browser.createBrowserContext();
    const live = new LivePage(await context.newPage(), context, new URL(url).host);
    await live.visit(url, options);
    return live;
  }

  /** Ends the browser and deletes its profile. */
  async close(): Promise<void> {
    await this.#browser.close();
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** One window with the live page in it. */
export class LivePage {
  readonly page: Page;
  /** Errors and warnings of the console, exceptions, and violations of the content security policy. */
  readonly complaints: string[] = [];
  /** Addresses at other hosts that were asked for. */
  readonly strangers: string[] = [];
  readonly #context: BrowserContext;

  constructor(page: Page, context: BrowserContext, host: string) {
    this.page = page;
    this.#context = context;
    page.setDefaultTimeout(waitTimeoutMs);
    page.on('console', (message) => {
      if (['error', 'warn', 'assert'].includes(message.type())) this.complaints.push(message.text());
    });
    page.on('pageerror', (error) => this.complaints.push(String(error)));
    page.on('request', (request) => {
      const asked = new URL(request.url());
      if (/^(https?|wss?):$/.test(asked.protocol) && asked.host !== host) this.strangers.push(request.url());
    });
  }

  /** Opens an address anew in this window: quicker than another window, and nothing of before is left. */
  async visit(url: string, options: PageOptions = {}): Promise<void> {
    const phone = options.phone ?? false;
    // Between two addresses that differ behind their # nothing would be loaded.
    await this.page.goto('about:blank');
    await this.page.setViewport({
      width: options.width ?? (phone ? 390 : 1280),
      height: options.height ?? (phone ? 844 : 800),
      deviceScaleFactor: 1,
      isMobile: phone,
      hasTouch: phone,
    });
    await this.emulate(options);
    await this.page.goto(url, { waitUntil: 'load', timeout: waitTimeoutMs });
    await this.waitFor('html[data-ready]');
  }

  /** What the system is said to prefer from now on. */
  async emulate({ dark, reducedMotion }: Pick<PageOptions, 'dark' | 'reducedMotion'>): Promise<void> {
    await this.page.emulateMediaFeatures([
      { name: 'prefers-color-scheme', value: dark === true ? 'dark' : 'light' },
      { name: 'prefers-reduced-motion', value: reducedMotion === true ? 'reduce' : 'no-preference' },
    ]);
  }

  /** Waits for something that fits the selector. */
  async waitFor(selector: string): Promise<void> {
    await this.page.waitForSelector(selector, { timeout: waitTimeoutMs });
  }

  /** Waits until the page as a whole, or what fits the selector, contains `text`. */
  async waitForText(text: string | RegExp, selector = 'body', timeoutMs = waitTimeoutMs): Promise<void> {
    const [source, flags] = typeof text === 'string' ? [RegExp.escape(text), ''] : [text.source, text.flags];
    const script = `[...document.querySelectorAll(${JSON.stringify(selector)})].some((each) =>
      new RegExp(${JSON.stringify(source)}, ${JSON.stringify(flags)}).test(each.textContent ?? ''))`;
    await this.page.waitForFunction(script, { timeout: timeoutMs, polling: 50 });
  }

  /** The text of the first element that fits; '' without one. */
  async textOf(selector: string): Promise<string> {
    return await this.evaluate<string>(
      `(document.querySelector(${JSON.stringify(selector)})?.textContent ?? '').trim()`,
    );
  }

  /** What is to be seen of the elements that fit: neither what is hidden nor what only screen readers are told. */
  async seenOf(selector: string): Promise<string> {
    const seen = await this.evaluate<string[]>(
      `[...document.querySelectorAll(${JSON.stringify(selector)})]
        .filter((each) => each.checkVisibility()).map((each) => each.innerText)`,
    );
    return seen.join(' ').replaceAll(/\s+/g, ' ').trim();
  }

  /** The value of an expression within the page. */
  async evaluate<T>(expression: string): Promise<T> {
    return (await this.page.evaluate(expression)) as T;
  }

  /** The services that are shown, in the graph or in the list. */
  async nodes(): Promise<ShownNode[]> {
    return await this.evaluate(
      `[...document.querySelectorAll('[data-node]')].filter((each) => !each.hidden).map((each) => ({
        id: each.dataset.node, state: each.dataset.state,
        text: ${spoken('each')} }))`,
    );
  }

  /** The edges that are shown. */
  async edges(): Promise<ShownEdge[]> {
    return await this.evaluate(
      `[...document.querySelectorAll('[data-edge]')].filter((each) => !each.hidden).map((each) => ({
        id: each.dataset.edge, from: each.dataset.from, to: each.dataset.to,
        transport: each.dataset.transport, state: each.dataset.state,
        text: ${spoken('each')} }))`,
    );
  }

  /** What the problems page lists; it is opened for that. */
  async problems(): Promise<ShownProblem[]> {
    await this.goTo('#/problems');
    await this.waitFor('[data-view="problems"]:not([hidden])');
    return await this.evaluate(
      `[...document.querySelectorAll('[data-problem]')].map((each) => ({
        severity: each.dataset.severity, code: each.dataset.code ?? '', text: ${spoken('each')} }))`,
    );
  }

  /** Opens the panel of a node or an edge, waits for its details, and returns all that it says. */
  async panelOf(kind: 'node' | 'edge', id: string): Promise<string> {
    await this.goTo(`#/graph?${kind}=${encodeURIComponent(id)}`);
    await this.waitFor(`#panel[data-of=${JSON.stringify(id)}][data-state="told"]`);
    return await this.evaluate(spoken("document.querySelector('#panel')"));
  }

  /** What a row of the proxies page says; '' where there is none of that name. */
  async proxyRow(name: string): Promise<string> {
    await this.goTo('#/proxies');
    await this.waitFor('[data-proxy]');
    return await this.evaluate(
      `((each) => each === undefined ? '' : ${spoken('each')})(
        [...document.querySelectorAll('[data-proxy]')].find((each) => each.dataset.proxy === ${JSON.stringify(name)}))`,
    );
  }

  /** Goes to another part of the page, by the part of the address behind `#`. */
  async goTo(hash: string): Promise<void> {
    await this.evaluate(`void (location.hash = ${JSON.stringify(hash)})`);
    await this.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))');
  }

  /** Presses keys one after the other. */
  async press(...keys: KeyInput[]): Promise<void> {
    for (const key of keys) await this.page.keyboard.press(key);
  }

  /** What the element with the focus is, by id, `data-node`, `data-edge`, label or text. */
  async focused(): Promise<string> {
    return await this.evaluate(
      `((each) => each.dataset.node ?? each.dataset.edge ?? (each.id || each.getAttribute('aria-label') ||
        each.textContent.trim().slice(0, 80)))(document.activeElement ?? document.body)`,
    );
  }

  /** How many frames a second were drawn over a while. */
  async framesPerSecond(durationMs: number): Promise<number> {
    return await this.evaluate(`new Promise((done) => {
      let [frames, first] = [0, 0];
      const step = (now) => {
        first ||= now;
        if (now - first >= ${durationMs}) return done(frames / ((now - first) / 1000));
        frames++;
        requestAnimationFrame(step);
      };
      requestAnimationFrame(step);
    })`);
  }

  /** Writes what is to be seen as PNG. */
  async screenshot(file: `${string}.png`): Promise<void> {
    await this.page.screenshot({ path: file });
  }

  /** Closes the window. */
  async close(): Promise<void> {
    await this.#context.close();
  }
}

/** An expression: the text of an element with spaces between its parts, and what only screen readers are told. */
function spoken(element: string): string {
  return `((one) => [one.getAttribute('aria-label') ?? '', one.getAttribute('title') ?? '',
    ...[...function* texts(parent) {
      for (const child of parent.childNodes) {
        if (child.nodeType === 3) yield child.textContent.trim(); else yield* texts(child);
      }
    }(one)]].filter(Boolean).join(' '))(${element})`;
}

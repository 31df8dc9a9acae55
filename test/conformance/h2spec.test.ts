// h2spec against our HTTP/2 server sessions, strict tests included: as tunnels (a stream is answered at once and open
// both ways), and as ordinary requests. It cannot show a client certificate, so the sessions run over plain TCP.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { answerRequests, echoTunnels, listenPlain, type OnStream } from './support/plain-server.ts';
import { finished, h2spec, whenTold } from './support/tools.ts';

const priority = 'RFC 9113 §5.3.2 deprecates the priorities of RFC 7540: what PRIORITY says is not looked at';

/** What may fail, and why. */
const exceptions: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  requests: {
    'http2/5.3.1: Sends HEADERS frame that depend on itself': priority,
    'http2/5.3.1: Sends PRIORITY frame that depend on itself': priority,
  },
  tunnels: {
    'http2/5.3.1: Sends HEADERS frame that depend on itself': priority,
    'http2/5.3.1: Sends PRIORITY frame that depend on itself': priority,
    'http2/5.1.2: Sends HEADERS frames that causes their advertised concurrent stream limit to be exceeded':
      'the requests end at once, and so does the echo of each: they are never open together',
  },
};
/** Tests that need a body, which an echo of nothing has not. h2spec leaves them out. */
const skippedAtMost = { requests: 0, tunnels: 4 } as const;
const testsAtLeast = 146;

interface Outcome {
  readonly name: string;
  readonly result: 'passed' | 'failed' | 'skipped';
  readonly detail: string;
}

async function runSpec(onStream: OnStream): Promise<Outcome[]> {
  // h2spec takes it for granted that frames may have 16,384 bytes and no more.
  const settings = { maxFrameBytes: 16_384, maxConcurrentStreams: 4 };
  const server = await listenPlain(onStream, settings);
  const dir = mkdtempSync(path.join(os.tmpdir(), 'ambient-h2spec-'));
  try {
    const file = path.join(dir, 'report.xml');
    const args = ['--strict', '--port', String(server.port), '--timeout', '3', '--junit-report', file];
    const { output } = await finished(h2spec(), args, 60_000);
    assert.match(output, /\d+ tests, \d+ passed/, output);
    return outcomes(readFileSync(file, 'utf8'));
  } finally {
    server.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

function outcomes(xml: string): Outcome[] {
  const cases = xml.matchAll(/<testcase package="([^"]*)" classname="([^"]*)"[^>]*>([\s\S]*?)<\/testcase>/g);
  return [...cases].map(([, section, title, body = '']) => {
    const result = body.includes('<skipped>') ? 'skipped' : body.trim() === '' ? 'passed' : 'failed';
    return { name: `${section}: ${title}`, result, detail: body.replaceAll(/<[^>]*>/g, ' ').trim() };
  });
}

it('h2spec can be built', { timeout: 430_000 }, async () => {
  await whenTold(h2spec);
});

describe('h2spec', { concurrency: true }, () => {
  for (const [what, onStream] of Object.entries({ requests: answerRequests, tunnels: echoTunnels })) {
    it(`passes against ${what}`, { timeout: 70_000 }, async () => {
      const all = await runSpec(onStream);
      const failed = all.filter(({ name, result }) => result === 'failed' && exceptions[what]![name] === undefined);
      assert.deepEqual(failed, []);
      const skipped = all.filter(({ result }) => result === 'skipped');
      assert.ok(skipped.length <= skippedAtMost[what as keyof typeof skippedAtMost], JSON.stringify(skipped));
      assert.ok(all.length >= testsAtLeast, `${all.length} tests`);
    });
  }
});

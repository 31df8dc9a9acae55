// Runs proofs one after the other and says how far it is; what comes of each is data.
import { MeshError, messageOf } from '../../base/errors.ts';
import type { CliIo, Paint } from '../io.ts';
import { coloured, plain } from '../io.ts';
import { type ProofBed, throwIfInterrupted } from './bed.ts';
import type { Proof } from './proofs.ts';

/** Part of a contract: `proofs` of `test -o json`. */
export interface ProofResult {
  readonly name: string;
  readonly title: string;
  readonly result: 'holds' | 'fails' | 'skipped';
  /** Why it fails or was skipped; null for what holds. */
  readonly reason: string | null;
  readonly actions: readonly { readonly what: string; readonly holds: boolean; readonly reason: string | null }[];
  readonly tookMs: number;
  /** What to look at; null unless it fails. */
  readonly next: string | null;
}

export interface RunOptions {
  readonly disruptive: boolean;
  readonly signal: AbortSignal;
}

/** Rejects with an AbortError when it is interrupted; what a proof has made is taken away before. */
export async function runProofs(
  io: CliIo,
  bed: ProofBed,
  proofs: readonly Proof[],
  { disruptive, signal }: RunOptions,
): Promise<ProofResult[]> {
  const paint = io.stderrColour ? coloured : plain;
  const results: ProofResult[] = [];
  for (const [at, proof] of proofs.entries()) {
    throwIfInterrupted(signal);
    const line = `[${at + 1}/${proofs.length}] ${proof.name}: ${proof.title} … `;
    io.stderr.write(line);
    const result = await runProof(bed, proof, disruptive, signal).catch((error: unknown) => {
      io.stderr.write(signal.aborted ? 'interrupted\n' : 'broken off\n');
      throw error;
    });
    // On a terminal what is waited for has been shown in its place.
    const again = io.talkIsTerminal === true ? `\r\u001b[K${line}` : '';
    io.stderr.write(`${again}${outcomeText(result, paint)}\n`);
    results.push(result);
  }
  return results;
}

async function runProof(bed: ProofBed, proof: Proof, disruptive: boolean, signal: AbortSignal): Promise<ProofResult> {
  const { name, title } = proof;
  const startedMs = performance.now();
  const actions: ProofResult['actions'][number][] = [];
  const end = (result: ProofResult['result'], reason: string | null): ProofResult => {
    const tookMs = Math.round(performance.now() - startedMs);
    return { name, title, result, reason, actions, tookMs, next: result === 'fails' ? proof.next(bed) : null };
  };
  const skipped = proof.disruptive === true && !disruptive ? 'only with --disruptive' : await proof.skip?.(bed);
  if (skipped != null) return end('skipped', skipped);
  try {
    for (const { what, run } of proof.actions(bed)) {
      const reason = await run().catch((error: unknown) => {
        throwIfInterrupted(signal);
        return messageOf(error);
      });
      actions.push({ what, holds: reason === null, reason });
      if (reason !== null) return end('fails', `${what}: ${reason}`);
    }
    return end('holds', null);
  } finally {
    await proof.after?.(bed).catch((error: unknown) => {
      // What is left goes with the namespace; only the end of everything is worse.
      if (MeshError.from(error).code === 'NOT_REACHABLE') throw error;
    });
  }
}

function outcomeText({ result, reason, tookMs, next }: ProofResult, paint: Paint): string {
  if (result === 'skipped') return paint(`skipped: ${reason}`, 'dim');
  const took = `(${(tookMs / 1000).toFixed(1)}s)`;
  if (result === 'holds') return `${paint('holds', 'good')} ${took}`;
  return `${paint('fails', 'bad')} ${took}\n        ${reason}\n        look at: ${next}`;
}

/** JUnit's XML, as CI systems read it. */
export function junitText(results: readonly ProofResult[]): string {
  const count = (result: ProofResult['result']): number => results.filter((one) => one.result === result).length;
  const seconds = (ms: number): string => (ms / 1000).toFixed(3);
  const total = results.reduce((sum, { tookMs }) => sum + tookMs, 0);
  // Jenkins' schema knows `skipped` of a suite, not of all of them.
  const sums = `tests="${results.length}" failures="${count('fails')}" errors="0" time="${seconds(total)}"`;
  const cases = results.map(({ name, title, result, reason, next, tookMs }) => {
    const head = `    <testcase classname="ambientctl.test" name="${xml(name)}" time="${seconds(tookMs)}"`;
    if (result === 'holds') return `${head}/>\n`;
    const why = xml(reason ?? '');
    const inner =
      result === 'skipped'
        ? `<skipped message="${why}"/>`
        : `<failure type="proof" message="${why}">${xml(`${title}\n${reason}\nlook at: ${next}`)}</failure>`;
    return `${head}>\n      ${inner}\n    </testcase>\n`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>
<testsuites ${sums}>
  <testsuite name="ambientctl test" ${sums} skipped="${count('skipped')}">
${cases.join('')}  </testsuite>
</testsuites>
`;
}

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

/** Characters that XML cannot have are left out. */
function xml(text: string): string {
  return text.replace(/[&<>"']/g, (one) => escapes[one]!).replace(/[^\t\n\u0020-\ud7ff\ue000-\ufffd]/g, '');
}

// What is done inside the network namespace of one pod, as one program of the shell per step: entering a namespace and
// starting a tool costs more than what the tool does. Nothing but `nft`, `ip` and the shell itself is used.
import { type CommandRunner, failed } from './command.ts';
import { listArguments, readTable } from './readback.ts';
import { type Family, rulePreference } from './routes.ts';
import { tableName } from './rule-text.ts';
import { fwmark, ownerChain, removalText, routeTable } from './ruleset.ts';

/** Where to run, and what that namespace has. */
export interface PodPlace {
  /** A file of the namespace that is sure to be the one that was looked at: a descriptor of this process. */
  readonly file: string;
  readonly families: readonly Family[];
}

export interface PodReading {
  /** As `TableReading`; null when there is no table. */
  readonly structure: string | null;
  readonly ownerMs: number | null;
  /** What is missing besides, in words. */
  readonly missing: readonly string[];
}

const markText = `0x${fwmark.toString(16)}`;
const ruleText = `fwmark ${markText} lookup ${routeTable}`;
const routeText = 'local default dev lo';
const superseded = 'superseded';

/**
 * Puts `ruleset` and its policy route in place, unless a proxy that started later than `ownerMs` has: `superseded`.
 * Throws `CAPTURE_FAILED`; the rules of before are in force then.
 */
export async function applyInPod(
  place: PodPlace,
  ruleset: string,
  ownerMs: number,
  run: CommandRunner,
): Promise<PodReading | typeof superseded> {
  const script = [
    'set -e',
    `table=$(nft list table inet ${tableName} 2>/dev/null) || true`,
    `newest=\${table#*chain ${ownerChain('')}}; newest=\${newest%%[!0-9]*}`,
    `if [ "\${newest:-0}" -gt ${ownerMs} ]; then echo ${superseded}; exit 0; fi`,
    ...place.families.flatMap((family) => [
      `ip ${family} route replace ${routeText} table ${routeTable}`,
      unless(`ip ${family} rule show`, ruleText, `ip ${family} rule add pref ${rulePreference} ${ruleText}`),
    ]),
    "nft -f - <<'RULES'",
    ruleset,
    'RULES',
    ...readingLines(place),
  ];
  const output = await inPod(place, script, run);
  return output.startsWith(superseded) ? superseded : readingOf(output);
}

/** What is in place. Throws `CAPTURE_FAILED`. */
export async function readPod(place: PodPlace, run: CommandRunner): Promise<PodReading> {
  return readingOf(await inPod(place, readingLines(place), run));
}

/** Takes rules and routes away, whoever put them there. Idempotent. Throws `CAPTURE_FAILED`. */
export async function removeFromPod(place: PodPlace, run: CommandRunner): Promise<void> {
  const script = [
    `nft list table inet ${tableName} >/dev/null 2>&1 || exit 0`,
    "nft -f - <<'RULES' || exit 1",
    removalText(),
    'RULES',
    ...place.families.flatMap((family) => [
      `while ip ${family} rule del ${ruleText} 2>/dev/null; do :; done`,
      `ip ${family} route flush table ${routeTable} 2>/dev/null`,
    ]),
    'exit 0',
  ];
  await inPod(place, script, run);
}

/** Replaces the table alone. Throws `CAPTURE_FAILED`. */
export async function replaceTable(place: PodPlace, ruleset: string, run: CommandRunner): Promise<void> {
  await inPod(place, ["nft -f - <<'RULES'", ruleset, 'RULES'], run);
}

function readingLines({ families }: PodPlace): string[] {
  return [
    ...families.flatMap((family) => [
      unless(`ip ${family} rule show`, ruleText, `echo 'missing ip ${family} rule ${ruleText}'`),
      unless(
        `ip ${family} route show table ${routeTable} 2>/dev/null`,
        routeText,
        `echo 'missing ip ${family} route ${routeText} table ${routeTable}'`,
      ),
    ]),
    `nft ${listArguments('inet').join(' ')} 2>/dev/null || true`,
  ];
}

/** What is done when `command` does not print `text`. */
function unless(command: string, text: string, otherwise: string): string {
  return `case "$(${command})" in *'${text}'*) ;; *) ${otherwise} ;; esac`;
}

function readingOf(output: string): PodReading {
  const lines = output.split('\n');
  const missing = lines.filter((line) => line.startsWith('missing ')).map((line) => `${line.slice(8)} is missing`);
  const table = readTable(lines.find((line) => line.startsWith('{')) ?? '');
  return { structure: table?.structure ?? null, ownerMs: table?.ownerMs ?? null, missing };
}

async function inPod({ file }: PodPlace, script: readonly string[], run: CommandRunner): Promise<string> {
  const { exitCode, stdout, stderr } = await run('nsenter', [`--net=${file}`, 'sh', '-s'], `${script.join('\n')}\n`);
  if (exitCode !== 0) throw failed('nsenter', stderr);
  return stdout;
}

// What targets that read manifests have in common: mutations that know lines, and errors that have to have a place.
import { isMeshError } from '../../../src/base/errors.ts';
import { placeOf } from '../../../src/config/yaml.ts';
import type { Random } from '../../support/random.ts';
import { broken, outcomeOf } from '../target.ts';

/** Lines are what YAML is made of: one goes, comes twice, moves, or gets another depth or value. */
export function lineMutation(
  words: readonly string[],
  documents: readonly string[],
): (input: Buffer, random: Random) => Buffer {
  return (input, random) => {
    const lines = input.toString('utf8').split('\n');
    const at = random.below(lines.length);
    const line = lines[at]!;
    switch (random.below(6)) {
      case 0:
        lines.splice(at, 1);
        break;
      case 1:
        lines.splice(random.below(lines.length), 0, line);
        break;
      case 2:
        lines[at] = random.oneIn(2) ? `  ${line}` : line.replace(/^ {1,2}/, '');
        break;
      case 3:
        lines[at] = line.replace(/:.*$/, `: ${random.pick(words)}`);
        break;
      case 4: {
        const parts = line.split(/([[\]{},: "]+)/);
        parts[random.below(parts.length)] = random.pick(words);
        lines[at] = parts.join('');
        break;
      }
      default:
        lines.splice(at, 0, '---', ...random.pick(documents).split('\n'));
    }
    return Buffer.from(lines.join('\n'));
  };
}

/** Runs a reader of manifests: it ends in a word or in an error with a place, and prints no warning. */
export function withoutTalk(read: () => string): string {
  const { emitWarning } = process;
  process.emitWarning = (warning) => broken(`a warning on standard error: ${String(warning)}`);
  try {
    return read();
  } catch (error) {
    if (!isMeshError(error) || (error.code !== 'INPUT_UNREADABLE' && error.code !== 'CONFIG_INVALID')) throw error;
    const place = placeOf(error);
    if (place === null || place.line < 1 || place.column < 1) broken(`an error without a place: ${error.message}`);
    return outcomeOf({ code: error.code, message: String(error.details.reason) });
  } finally {
    process.emitWarning = emitWarning;
  }
}

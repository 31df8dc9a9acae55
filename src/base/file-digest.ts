// What a file contained, in short: to tell whether it has changed without keeping or parsing it.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** SHA-256 of the file's content in hexadecimal; '' when it cannot be read. */
export function digestOf(file: string): string {
  try {
    return createHash('sha256').update(readFileSync(file)).digest('hex');
  } catch {
    return '';
  }
}

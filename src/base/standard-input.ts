// Standard input as a whole, for `-f -`.
import { readSync } from 'node:fs';

const chunkBytes = 64 * 1024;
const waitMs = 5;

/** Reads standard input to its end. Another Node's end of a pipe does not block, so an empty one is waited for. */
export function readStandardInput(): string {
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = Buffer.allocUnsafe(chunkBytes);
    const length = readSome(chunk);
    if (length === 0) return Buffer.concat(chunks).toString('utf8');
    chunks.push(chunk.subarray(0, length));
  }
}

function readSome(into: Buffer): number {
  const never = new Int32Array(new SharedArrayBuffer(4));
  for (;;) {
    try {
      return readSync(0, into);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
      Atomics.wait(never, 0, 0, waitMs);
    }
  }
}

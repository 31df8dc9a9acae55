// The thread in which a target runs: whoever started it sees in shared memory which input is at work, and since when.
import { parentPort, workerData } from 'node:worker_threads';
import { fuzz } from './engine.ts';
import type { FuzzTarget } from './target.ts';
import { headerBytes, type WorkerRequest } from './worker-memory.ts';

const request = workerData as WorkerRequest;
const { targets } = (await import(request.module)) as { targets: readonly FuzzTarget[] };
const target = targets.find(({ name }) => name === request.target)!;
const numbers = new Int32Array(request.shared, 0, 2);
const bytes = new Uint8Array(request.shared, headerBytes);

const report = await fuzz({
  target,
  inputs: request.inputs,
  seed: request.seed,
  corpus: request.corpus.map((input) => Buffer.from(input)),
  beforeInput: (input) => {
    bytes.set(input.subarray(0, bytes.length));
    numbers[1] = input.length;
    Atomics.add(numbers, 0, 1);
  },
});
parentPort!.postMessage(report);

// What becomes of connections whose process or thread dies: by itself the kernel ends them in good order, as if all had
// been said. With a linger time of 0 (socket(7), SO_LINGER) it resets them. Each stream to a pod is armed so from its
// first moment on, and disarmed before it is closed in good order. Node has no way to set the option, so the C
// library's own function is called; `tcp-self-test.ts` tries it, and where it does not work, streams do without.
import { bindLibc, type Libc } from '../base/libc.ts';

/** Linux on x64 and arm64. */
const constants = { socketLevel: 1, linger: 13 } as const;
/** `struct linger`: on or off, seconds. */
const lingerBytes = 8;

type SetOption = Libc<'setsockopt'>['functions']['setsockopt'];

/** The option as the kernel reads it: outside of the garbage-collected heap, so that it never moves. */
class LingerOption {
  readonly #memory: Int32Array;
  readonly #pointer: bigint;
  readonly #setOption: SetOption;

  constructor({ functions, ffi }: Libc<'setsockopt'>, isOn: boolean) {
    this.#memory = new Int32Array(new ArrayBuffer(lingerBytes));
    this.#memory[0] = isOn ? 1 : 0;
    this.#pointer = ffi.getRawPointer(this.#memory.buffer as ArrayBuffer);
    this.#setOption = functions.setsockopt;
  }

  put(fd: number): void {
    this.#setOption(fd, constants.socketLevel, constants.linger, this.#pointer, lingerBytes);
  }
}

interface Options {
  readonly on: LingerOption;
  readonly off: LingerOption;
}

let options: Options | null = null;

/** Arms the streams of this thread from now on; false when this Node cannot. For `tcp-self-test.ts` alone. */
export function useDeathResets(): boolean {
  const libc = bindLibc({
    setsockopt: { arguments: ['i32', 'i32', 'i32', 'pointer', 'u32'], return: 'i32' },
  });
  options = libc === null ? null : { on: new LingerOption(libc, true), off: new LingerOption(libc, false) };
  return options !== null;
}

/** Arms no stream any more; those that are armed are still disarmed when they end. For `tcp-self-test.ts` alone. */
export function forgetDeathResets(): void {
  if (options !== null) options = { on: options.off, off: options.off };
}

/** From now on the kernel resets the connection when its descriptor is closed, whoever closes it. */
export function armDeathReset(fd: number): void {
  options?.on.put(fd);
}

/** A close ends the connection in good order again. */
export function disarmDeathReset(fd: number): void {
  options?.off.put(fd);
}

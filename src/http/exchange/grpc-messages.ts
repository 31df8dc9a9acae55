// The messages of a gRPC call: five bytes of prefix, then as many as they say.

const prefixBytes = 5;

/** Counts messages in one direction. Skips by subtraction; nothing of a message is looked at. */
export class GrpcMessages {
  messages = 0;
  #left = 0;
  #prefixAt = 0;
  #length = 0;

  count(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const step = Math.min(this.#left, chunk.length - at);
        this.#left -= step;
        at += step;
        continue;
      }
      if (this.#prefixAt > 0) this.#length = this.#length * 256 + chunk[at]!;
      this.#prefixAt++;
      at++;
      if (this.#prefixAt < prefixBytes) continue;
      this.messages++;
      this.#left = this.#length;
      this.#length = 0;
      this.#prefixAt = 0;
    }
  }
}

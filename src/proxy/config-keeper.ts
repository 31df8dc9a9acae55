// The configuration file of a running proxy: watched, read again when it changes, and what can change without a restart
// is handed on. A file that is wrong, or gone, changes nothing and is named in the log and in the dump.
import path from 'node:path';
import type { Clock } from '../base/clock.ts';
import { MeshError } from '../base/errors.ts';
import { digestOf } from '../base/file-digest.ts';
import { changedFields, isLive, withLiveFields } from '../config/live.ts';
import type { ProxyConfig } from '../config/proxy.ts';
import { FolderWatch } from '../kube/folder-watch.ts';
import type { ConfigFileView } from '../model/views.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface ConfigKeeperOptions<Config extends ProxyConfig> {
  readonly file: string;
  /** What the proxy was started with. */
  readonly config: Config;
  /** Loads the reader of such files, when one has changed: few ever do, and a reader of YAML is large. */
  readonly reader: () => Promise<(file: string) => Config>;
  /** `digestOf` the file that `config` was read from, where it is known. */
  readonly digest?: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Fields that need no restart have changed. */
  readonly onChange: (config: Config) => void;
}

/** Follows one file from `start` to `close`. */
export class ConfigKeeper<Config extends ProxyConfig> {
  readonly #options: ConfigKeeperOptions<Config>;
  readonly #watch: FolderWatch;
  readonly #started: Config;
  #running: Config;
  #readAt: string;
  #error: string | null = null;
  #needsRestart: readonly string[] = [];
  #isClosed = false;

  constructor(options: ConfigKeeperOptions<Config>) {
    this.#options = options;
    this.#started = options.config;
    this.#running = options.config;
    this.#readAt = this.#now();
    this.#watch = new FolderWatch([path.resolve(options.file)]);
    this.#watch.on('paths', () => void this.#read());
  }

  /** Begins to watch, and looks at once: the file may have changed since it was read. */
  async start(): Promise<void> {
    await this.#watch.start();
    const { file, digest } = this.#options;
    if (digest === undefined || digest !== digestOf(file)) await this.#read();
  }

  view(): ConfigFileView {
    return {
      file: this.#options.file,
      readAt: this.#readAt,
      error: this.#error,
      needsRestart: this.#needsRestart,
    };
  }

  close(): void {
    this.#isClosed = true;
    this.#watch.close();
  }

  async #read(): Promise<void> {
    const { file, log, onChange, reader } = this.#options;
    const readConfig = await reader();
    if (this.#isClosed) return;
    let read: Config;
    try {
      read = readConfig(file);
    } catch (error) {
      const { message } = MeshError.from(error);
      if (message !== this.#error) log.error({ error }, 'the configuration file is not used: the last good one stays');
      this.#error = message;
      return;
    }
    if (this.#error !== null) log.info({ file }, 'the configuration file can be read again');
    this.#error = null;
    this.#readAt = this.#now();
    const needsRestart = changedFields(this.#started, read).filter((field) => !isLive(field));
    if (needsRestart.join() !== this.#needsRestart.join() && needsRestart.length > 0) {
      log.warn({ fields: needsRestart }, 'changes of these fields need a restart');
    }
    this.#needsRestart = needsRestart;
    const fields = changedFields(this.#running, read).filter(isLive);
    if (fields.length === 0) return;
    this.#running = withLiveFields(this.#running, read);
    onChange(this.#running);
    log.info({ fields }, 'the configuration has changed');
  }

  #now(): string {
    return new Date(this.#options.clock.now()).toISOString();
  }
}

// The last good state of a node proxy: the mesh with its versions, and the certificates in service, so that a proxy
// that was killed serves again at once, even while the controller is away.
//
// Keys are written only into a folder that lives in memory (tmpfs): without them a restarted proxy could prove no
// identity until the controller is back, and every one of its pods would be cut off. They lie in no more places than
// before: who may read root's files on the node may read the process's memory too. They never get to a disk.
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { HeldVersions } from '../discovery/held-resources.ts';
import type { IssuedCertificate } from '../identity/certificate-manager.ts';
import type { ServiceRoutes } from '../model/route-types.ts';
import type { NodeNetwork, Policy, Revocation, Service, Workload } from '../model/types.ts';
import type { Logger } from '../telemetry/logger.ts';
import { isMemoryBacked, StateFile } from './state-files.ts';

export interface SavedMesh {
  readonly nodeName: string;
  readonly clusterId: string;
  readonly savedAt: string;
  readonly workloads: readonly Workload[];
  readonly services: readonly Service[];
  readonly policies: readonly Policy[];
  readonly revocations: readonly Revocation[];
  /** Of a waypoint. */
  readonly routes?: readonly ServiceRoutes[];
  /** Of a node proxy. */
  readonly nodes?: readonly NodeNetwork[];
  readonly held: HeldVersions;
}

interface SavedCertificates {
  readonly certificates: readonly IssuedCertificate[];
}

export interface StateStoreOptions {
  readonly folder: string;
  readonly nodeName: string;
  readonly clusterId: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** What to write when a save is due. */
  readonly mesh: () => Omit<SavedMesh, 'nodeName' | 'clusterId' | 'savedAt'>;
  readonly certificates: () => readonly IssuedCertificate[];
  /** Replaced in tests; default: by the type of the file system. */
  readonly mayHoldKeys?: boolean;
}

/** A mesh changes often and is large; a certificate changes rarely and is precious. */
const meshDelayMs = 2_000;
const certificateDelayMs = 50;
/** At most a twentieth of the time goes into writing, however large the mesh. */
const restPerWrite = 20;
const touchEveryMs = 30_000;
/**
 * A proxy that was down longer than this starts without the old mesh: addresses of pods may have new owners by then,
 * and an address is what tells who a local client is.
 */
export const downtimeMaxMs = 3_600_000;

/** Reads the state of the last run once, and saves that of this one whenever it is told of a change. */
export class StateStore {
  readonly #options: StateStoreOptions;
  readonly #meshFile: StateFile<SavedMesh>;
  readonly #certificateFile: StateFile<SavedCertificates>;
  readonly #mayHoldKeys: boolean;
  readonly #meshSaver: Saver;
  readonly #certificateSaver: Saver;
  #cancelTouch: (() => void) | null = null;

  /** Throws what the file system throws when the folder cannot be made. */
  constructor(options: StateStoreOptions) {
    this.#options = options;
    const { folder, clock, log } = options;
    this.#meshFile = new StateFile(folder, 'mesh.json');
    this.#certificateFile = new StateFile(folder, 'certificates.json');
    this.#mayHoldKeys = options.mayHoldKeys ?? isMemoryBacked(folder);
    if (!this.#mayHoldKeys) {
      log.warn({ folder }, 'stateDir is on a disk: no keys are kept in it, so a restart needs the controller');
    }
    const complain = (error: unknown) => log.error({ folder, error }, 'the state could not be saved');
    this.#meshSaver = new Saver(clock, meshDelayMs, () => this.#writeMesh(), complain);
    this.#certificateSaver = new Saver(clock, certificateDelayMs, () => this.#writeCertificates(), complain);
    this.#touch();
  }

  /** The mesh that an earlier run of this node left, or null when there is none that may be used. */
  loadMesh(): SavedMesh | null {
    const { nodeName, clusterId, clock, log } = this.#options;
    const found = this.#meshFile.read();
    if (found === null) return null;
    const { value, touchedAtMs } = found;
    if (value.nodeName !== nodeName || value.clusterId !== clusterId) return null;
    const downMs = clock.now() - touchedAtMs;
    if (downMs <= downtimeMaxMs) return value;
    log.warn({ downMs, downtimeMaxMs }, 'the saved mesh is too old to be used');
    return null;
  }

  /** The certificates of the earlier run that are still in date. */
  loadCertificates(): readonly IssuedCertificate[] {
    if (!this.#mayHoldKeys) return [];
    const nowMs = this.#options.clock.now();
    return (this.#certificateFile.read()?.value.certificates ?? []).filter(({ notAfterMs }) => notAfterMs > nowMs);
  }

  meshChanged(): void {
    this.#meshSaver.due();
  }

  certificatesChanged(): void {
    if (this.#mayHoldKeys) this.#certificateSaver.due();
  }

  /** Writes what waits. Idempotent; nothing is written afterwards. */
  async close(): Promise<void> {
    this.#cancelTouch?.();
    this.#cancelTouch = null;
    await Promise.all([this.#meshSaver.close(), this.#certificateSaver.close()]);
  }

  async #writeMesh(): Promise<void> {
    const { nodeName, clusterId, clock, mesh } = this.#options;
    await this.#meshFile.write({ nodeName, clusterId, savedAt: new Date(clock.now()).toISOString(), ...mesh() });
  }

  async #writeCertificates(): Promise<void> {
    await this.#certificateFile.write({ certificates: this.#options.certificates() });
  }

  #touch(): void {
    this.#cancelTouch = this.#options.clock.after(touchEveryMs, () => {
      this.#meshFile.touch(this.#options.clock.now());
      this.#touch();
    });
  }
}

/** Saves some time after it is due, one save at a time, with a rest after each that grows with its cost. */
class Saver {
  readonly #clock: Clock;
  readonly #delayMs: number;
  readonly #save: () => Promise<void>;
  readonly #complain: (error: string) => void;
  #isDue = false;
  #running: Promise<void> | null = null;
  #cancel: (() => void) | null = null;
  #restUntilMs = 0;
  #isClosed = false;

  constructor(clock: Clock, delayMs: number, save: () => Promise<void>, complain: (error: string) => void) {
    this.#clock = clock;
    this.#delayMs = delayMs;
    this.#save = save;
    this.#complain = complain;
  }

  due(): void {
    if (this.#isClosed) return;
    this.#isDue = true;
    this.#arm();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancel?.();
    this.#cancel = null;
    await this.#running;
    if (this.#isDue) await this.#run();
  }

  #arm(): void {
    if (this.#cancel !== null || this.#running !== null) return;
    const delayMs = Math.max(this.#delayMs, this.#restUntilMs - this.#clock.now());
    this.#cancel = this.#clock.after(delayMs, () => {
      this.#cancel = null;
      void this.#run();
    });
  }

  #run(): Promise<void> {
    const beganMs = this.#clock.now();
    this.#isDue = false;
    this.#running = this.#save()
      .catch((error: unknown) => this.#complain(messageOf(error)))
      .finally(() => {
        const endedMs = this.#clock.now();
        this.#running = null;
        this.#restUntilMs = endedMs + (endedMs - beganMs) * restPerWrite;
        if (this.#isDue && !this.#isClosed) this.#arm();
      });
    return this.#running;
  }
}

// Which services select which pods, for those who ask whether a subset has any.

/** Remembers the services of each pod, so that a pod that goes is known to them. */
export class SelectedPods {
  readonly #servicesOf = new Map<string, readonly string[]>();

  /** Notes the services of a pod as of now; none for one that has gone. Returns those that it concerns. */
  note(podId: string, services: readonly string[]): ReadonlySet<string> {
    const concerned = new Set([...(this.#servicesOf.get(podId) ?? []), ...services]);
    if (services.length === 0) this.#servicesOf.delete(podId);
    else this.#servicesOf.set(podId, services);
    return concerned;
  }
}

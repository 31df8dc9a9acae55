// The configuration of the controller: one frozen object, read once at start.
export interface ControllerConfig {
  readonly listenHost: string;
  readonly ports: {
    readonly discovery: number;
    readonly admin: number;
    readonly metrics: number;
    readonly readiness: number;
  };
  /** Folders or files of manifests; each is watched. */
  readonly sources: readonly string[];
  readonly trustDomain: string;
  readonly clusterId: string;
  readonly clusterDomain: string;
  readonly systemNamespace: string;
  /**
   * Holds the root (`ca.key`, `ca.crt`) that is created at first start, or the one the operator brought (`tls.crt`,
   * `tls.key`, `ca.crt`).
   */
  readonly caDir: string;
  /** Names and addresses of the discovery server's own certificate. */
  readonly serverNames: readonly string[];
  /** PEM file that the roots are written to, for proxies to verify the controller with; '' writes none. */
  readonly rootsFile: string;
  readonly auth: {
    /** JWT issuer and the file with its public keys (JWKS). */
    readonly issuer: string;
    readonly jwksFile: string;
    readonly audiences: readonly string[];
    /** `NAMESPACE/SERVICEACCOUNT`s that are node proxies. */
    readonly nodeAccounts: readonly string[];
  };
  readonly certificateTtlMs: number;
  readonly certificateTtlMaxMs: number;
  readonly log: { readonly level: string; readonly format: 'json' | 'text' };
}

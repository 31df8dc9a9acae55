// What people type who know kubectl, istioctl, linkerd or hubble, and what it is called here.
const ownWords: Readonly<Record<string, string>> = {
  apply: 'lab apply, in a cluster kubectl apply',
  'bug-report': 'sysdump',
  bugreport: 'sysdump',
  delete: 'lab delete, in a cluster kubectl delete',
  describe: 'why',
  diagnostics: 'check',
  exec: 'lab exec, in a cluster kubectl exec',
  get: 'config workloads, config services, …, or lab get',
  inject: 'enroll',
  'kube-inject': 'enroll',
  lint: 'analyze',
  logs: 'lab logs, in a cluster kubectl logs',
  observe: 'tap',
  pc: 'config',
  precheck: 'check --pre',
  profile: 'install --help',
  'proxy-config': 'config',
  'proxy-status': 'status',
  ps: 'status',
  routes: 'config routes',
  tail: 'tap -f',
  ui: 'dashboard',
  validate: 'analyze',
  'verify-install': 'check',
  viz: 'stat',
  zc: 'config',
  'ztunnel-config': 'config',
};

/** The command for a word of another tool; null where there is none. */
export function ownWordFor(word: string): string | null {
  return Object.hasOwn(ownWords, word) ? (ownWords[word] ?? null) : null;
}

/** `help status` means `status --help`. */
export function withoutHelpWord(args: readonly string[]): readonly string[] {
  return args[0] === 'help' ? [...args.slice(1), '--help'] : args;
}

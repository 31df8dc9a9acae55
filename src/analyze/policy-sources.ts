// Names in AuthorizationPolicies that nobody has: a rule that was to let somebody in lets nobody in.
import { didYouMean } from '../base/nearest-name.ts';
import type { AuthorizationPolicyResource } from '../model/resources.ts';
import type { Analyzer, Report } from './analyze.ts';
import type { AnalyzedMesh } from './analyzed-mesh.ts';

/** `TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT`, whole and without a wildcard. */
const principalPattern = /^(?:spiffe:\/\/)?[^/*]+\/ns\/([^/*]+)\/sa\/([^/*]+)$/;

/** Looks at whom each policy names. */
export const policySources: Analyzer = (mesh, report) => {
  const namespaces = mesh.namespaceNames();
  const accounts = accountsOf(mesh);
  for (const policy of mesh.of('AuthorizationPolicy')) {
    for (const [rule, { from }] of policy.rules.entries()) {
      for (const [at, attributes] of (from ?? []).entries()) {
        const path = ['spec', 'rules', rule, 'from', at, 'source'];
        reportNamespaces(policy, attributes['namespaces'] ?? [], [...path, 'namespaces'], namespaces, report);
        reportPrincipals(policy, attributes['principals'] ?? [], [...path, 'principals'], accounts, report);
        const own = (attributes['serviceAccounts'] ?? []).map((one) =>
          one.includes('/') ? one : `${policy.namespace}/${one}`,
        );
        reportAccounts(policy, own, [...path, 'serviceAccounts'], accounts, report);
      }
    }
    if (policy.action === 'ALLOW' && policy.rules.length === 0) {
      const message = 'allows nothing, and so refuses everything that no other ALLOW policy allows';
      report(policy, 'AMB1012', ['spec'], message, 'as meant by "allow nothing" it is fine; otherwise add rules');
    }
  }
};

function reportNamespaces(
  policy: AuthorizationPolicyResource,
  names: readonly string[],
  path: (string | number)[],
  known: ReadonlySet<string>,
  report: Report,
): void {
  for (const [at, name] of names.entries()) {
    if (name.includes('*') || known.has(name)) continue;
    const message = `namespace ${name} is not there: nobody comes from it`;
    report(policy, 'AMB1010', [...path, at], message, `create it, or correct the name${didYouMean(name, known)}`);
  }
}

function reportPrincipals(
  policy: AuthorizationPolicyResource,
  principals: readonly string[],
  path: (string | number)[],
  known: ReadonlySet<string>,
  report: Report,
): void {
  const accounts = principals.map((text) => {
    const [, namespace, account] = principalPattern.exec(text) ?? [];
    return namespace === undefined ? '' : `${namespace}/${account}`;
  });
  reportAccounts(policy, accounts, path, known, report);
}

function reportAccounts(
  policy: AuthorizationPolicyResource,
  accounts: readonly string[],
  path: (string | number)[],
  known: ReadonlySet<string>,
  report: Report,
): void {
  for (const [at, account] of accounts.entries()) {
    if (account === '' || account.includes('*') || known.has(account)) continue;
    const message = `no pod runs as ${account}: the rule speaks of nobody`;
    report(policy, 'AMB1011', [...path, at], message, `correct the name${didYouMean(account, known)}`);
  }
}

/** `NAMESPACE/NAME` of accounts that exist, or that a pod runs as. */
function accountsOf(mesh: AnalyzedMesh): ReadonlySet<string> {
  const made = mesh.of('ServiceAccount').map(({ namespace, name }) => `${namespace}/${name}`);
  return new Set([...made, ...mesh.pods.map(({ namespace, spec }) => `${namespace}/${spec.serviceAccount}`)]);
}

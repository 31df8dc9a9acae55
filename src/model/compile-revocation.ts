// CertificateRevocation → what proxies check certificates against. It holds for the whole mesh, so that only the
// system's namespace, where the mesh's own operators write, may have one.
import { IssueList } from './issues.ts';
import type { CertificateRevocationResource } from './resources.ts';
import type { ResourceIssue, Revocation } from './types.ts';

export interface CompiledRevocation {
  /** Null when it is refused. */
  readonly revocation: Revocation | null;
  readonly issues: readonly ResourceIssue[];
}

/** The revocation of a resource, refused outside of `systemNamespace`. */
export function compileRevocation(
  resource: CertificateRevocationResource,
  systemNamespace: string,
): CompiledRevocation {
  const list = new IssueList(resource);
  const { namespace, name, serials, identities } = resource;
  if (namespace !== systemNamespace) {
    const message = `is refused: it would hold for the whole mesh, and only namespace ${systemNamespace} may do that`;
    list.add('AMB0321', ['metadata', 'namespace'], message, `put it into namespace ${systemNamespace}`);
    return { revocation: null, issues: list.issues };
  }
  if (serials.length + identities.length === 0) {
    list.add('AMB0322', ['spec'], 'revokes nothing', 'add spec.serials or spec.identities');
  }
  return { revocation: { namespace, name, serials, identities }, issues: list.issues };
}

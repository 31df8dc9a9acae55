// The live page of an installation: what its values make of the controller's file, its pod, its Service. On loopback
// of the pod unless it is asked for; then over TLS, and for who has the password or a token of a Secret.
import type { InstallValues } from './values.ts';

export const pagePort = 15_030;
const authDir = '/run/ambient-page/auth';
const tlsDir = '/run/ambient-page/tls';

/** True where others than the pod itself reach the page. */
export function isPageOpen({ page }: InstallValues): boolean {
  return page.enabled && page.listen === 'everywhere';
}

/** The fields `page` of the controller's file. */
export function pageConfig(values: InstallValues): Readonly<Record<string, unknown>> {
  const { enabled, names, certificate } = values.page;
  if (!isPageOpen(values)) return { enabled };
  const files = { certificateFile: `${tlsDir}/tls.crt`, keyFile: `${tlsDir}/tls.key` };
  return {
    enabled,
    host: '0.0.0.0',
    ...(names.length === 0 ? {} : { names }),
    passwordFile: `${authDir}/password`,
    tokenFile: `${authDir}/token`,
    ...(certificate === 'secret' ? { tls: 'files', ...files } : { tls: 'own' }),
  };
}

/** What the controller's pod has for it. */
export function pagePodParts(values: InstallValues) {
  if (!isPageOpen(values)) return { ports: [], volumeMounts: [], volumes: [] };
  const { authSecret, tlsSecret, certificate } = values.page;
  const isOwn = certificate === 'own';
  const mount = (name: string, mountPath: string) => ({ name, mountPath, readOnly: true });
  return {
    ports: [{ name: 'page', containerPort: pagePort }],
    volumeMounts: [mount('page-auth', authDir), ...(isOwn ? [] : [mount('page-tls', tlsDir)])],
    volumes: [
      // Without it nobody is let in, and the mesh goes on.
      { name: 'page-auth', secret: { secretName: authSecret, optional: true } },
      ...(isOwn ? [] : [{ name: 'page-tls', secret: { secretName: tlsSecret } }]),
    ],
  };
}

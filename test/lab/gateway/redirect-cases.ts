// Cases of RequestRedirect. Beyond the suite, the whole Location is compared.
import { type ConformanceCase, redirect, redirected, replaceFull, replacePrefix, route, under } from './builders.ts';

const statusRedirect = (name: string, status: number, path: string): ConformanceCase => ({
  name: `MeshHTTPRoute${status}Redirect`,
  features: ['HTTPRoute', `HTTPRoute${status}RedirectStatusCode`],
  counts: null,
  what: `a redirect with status ${status}`,
  routes: [route(name, [under(path, redirect({ statusCode: status }))])],
  asks: [redirected(path, status, `http://echo${path}`)],
});

/** In the order of the suite. */
export const redirectCases: readonly ConformanceCase[] = [
  {
    name: 'MeshHTTPRouteRedirectHostAndStatus',
    features: ['HTTPRoute'],
    counts: 'core',
    what: 'redirects to another host, 302 and 301',
    routes: [
      route('mesh-redirect-host-and-status', [
        under('/hostname-redirect', redirect({ hostname: 'example.org' })),
        under('/host-and-status', redirect({ hostname: 'example.org', statusCode: 301 })),
      ]),
    ],
    asks: [
      redirected('/hostname-redirect', 302, 'http://example.org/hostname-redirect'),
      redirected('/host-and-status', 301, 'http://example.org/host-and-status'),
    ],
  },
  {
    name: 'MeshHTTPRouteRedirectPath',
    features: ['HTTPRoute', 'MeshHTTPRouteRedirectPath'],
    counts: 'extended',
    what: 'redirects to another path or prefix',
    routes: [
      route('mesh-redirect-path', [
        under('/original-prefix', redirect({ path: replacePrefix('/replacement-prefix') })),
        under('/full', redirect({ path: replaceFull('/full-path-replacement') })),
        under('/path-and-host', redirect({ hostname: 'example.org', path: replacePrefix('/replacement-prefix') })),
        under('/path-and-status', redirect({ path: replacePrefix('/replacement-prefix'), statusCode: 301 })),
        under('/full-path-and-host', redirect({ hostname: 'example.org', path: replaceFull('/replacement-full') })),
        under('/full-path-and-status', redirect({ path: replaceFull('/replacement-full'), statusCode: 301 })),
      ]),
    ],
    asks: [
      redirected('/original-prefix/lemon', 302, 'http://echo/replacement-prefix/lemon'),
      redirected('/full/path/original', 302, 'http://echo/full-path-replacement'),
      redirected('/path-and-host', 302, 'http://example.org/replacement-prefix'),
      redirected('/path-and-status', 301, 'http://echo/replacement-prefix'),
      redirected('/full-path-and-host', 302, 'http://example.org/replacement-full'),
      redirected('/full-path-and-status', 301, 'http://echo/replacement-full'),
    ],
  },
  {
    name: 'MeshHTTPRouteRedirectPort',
    features: ['HTTPRoute', 'MeshHTTPRouteRedirectPort'],
    counts: 'extended',
    what: 'redirects to another port',
    routes: [
      route('mesh-redirect-port', [
        under('/port', redirect({ port: 8083 })),
        under('/port-and-host', redirect({ hostname: 'example.org', port: 8083 })),
        under('/port-and-status', redirect({ port: 8083, statusCode: 301 })),
        under('/port-and-host-and-status', redirect({ hostname: 'example.org', port: 8083, statusCode: 302 })),
      ]),
    ],
    asks: [
      redirected('/port', 302, 'http://echo:8083/port'),
      redirected('/port-and-host', 302, 'http://example.org:8083/port-and-host'),
      redirected('/port-and-status', 301, 'http://echo:8083/port-and-status'),
      redirected('/port-and-host-and-status', 302, 'http://example.org:8083/port-and-host-and-status'),
    ],
  },
  {
    name: 'MeshHTTPRouteSchemeRedirect',
    features: ['HTTPRoute', 'MeshHTTPRouteSchemeRedirect'],
    counts: 'extended',
    what: 'redirects to another scheme',
    routes: [
      route('mesh-redirect-scheme', [
        under('/scheme', redirect({ scheme: 'https' })),
        under('/scheme-and-host', redirect({ hostname: 'example.org', scheme: 'https' })),
        under('/scheme-and-status', redirect({ scheme: 'https', statusCode: 301 })),
        under('/scheme-and-host-and-status', redirect({ hostname: 'example.org', scheme: 'https', statusCode: 302 })),
      ]),
    ],
    asks: [
      redirected('/scheme', 302, 'https://echo/scheme'),
      redirected('/scheme-and-host', 302, 'https://example.org/scheme-and-host'),
      redirected('/scheme-and-status', 301, 'https://echo/scheme-and-status'),
      redirected('/scheme-and-host-and-status', 302, 'https://example.org/scheme-and-host-and-status'),
    ],
  },
  statusRedirect('mesh-303-redirect', 303, '/redirect'),
  statusRedirect('mesh-307-redirect', 307, '/temporary'),
  statusRedirect('mesh-308-redirect', 308, '/permanent'),
];

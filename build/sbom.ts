// The list of what is in a build, as CycloneDX 1.6 JSON: the packages from npm that the bundle has taken in, and of an
// image the Debian packages and Node. The same bytes for the same content: no serial number, no time.
// https://cyclonedx.org/docs/1.6/json/

export interface Component {
  readonly name: string;
  readonly version: string;
  /** SPDX expression; or, where nobody has written one, names. */
  readonly licence?: string;
  readonly licenceNames?: readonly string[];
  /** Package URL, https://github.com/package-url/purl-spec. */
  readonly purl: string;
  readonly type?: 'library' | 'application';
}

/** The document as text; `components` in any order. */
export function sbomText(main: Component, components: readonly Component[]): string {
  const sorted = [...components].sort((a, b) => (a.purl < b.purl ? -1 : 1));
  const document = {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: { ...entryOf(main), type: 'application' } },
    components: sorted.map(entryOf),
    dependencies: [{ ref: main.purl, dependsOn: sorted.map(({ purl }) => purl) }],
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function entryOf({ name, version, licence, licenceNames = [], purl, type = 'library' }: Component) {
  const named = licenceNames.map((each) => ({ license: { name: each } }));
  const licenses = licence === undefined ? named : [{ expression: licence }];
  return { type, 'bom-ref': purl, name, version, purl, licenses };
}

/** The URL of a package of npm. */
export function npmUrl(name: string, version: string): string {
  return `pkg:npm/${name.replace(/^@/, '%40')}@${version}`;
}

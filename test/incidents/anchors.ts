// Headings of a Markdown page as the places that links name.

/** Anchors of the headings of second order, as GitHub makes them. */
export function anchorsOf(page: string): string[] {
  return Array.from(page.matchAll(/^## (.*)$/gm), ([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^a-z0-9 -]/g, '')
      .replaceAll(' ', '-'),
  );
}

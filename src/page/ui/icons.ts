// Line drawings of 16 by 16, made as elements: no markup is parsed. Each differs in shape, not in colour alone.

const paths = {
  lock: [
    'M4.5 7.2h7a1 1 0 0 1 1 1v4.3a1 1 0 0 1-1 1h-7a1 1 0 0 1-1-1V8.2a1 1 0 0 1 1-1Z',
    'M5.4 7.2V5a2.6 2.6 0 0 1 5.2 0v2.2',
  ],
  'lock-open': [
    'M4.5 7.2h7a1 1 0 0 1 1 1v4.3a1 1 0 0 1-1 1h-7a1 1 0 0 1-1-1V8.2a1 1 0 0 1 1-1Z',
    'M9.6 7.2V4.6a2.5 2.5 0 0 1 4.6-1.3',
  ],
  'lock-mixed': [
    'M4.5 7.2h7a1 1 0 0 1 1 1v4.3a1 1 0 0 1-1 1h-7a1 1 0 0 1-1-1V8.2a1 1 0 0 1 1-1Z',
    'M5.4 7.2V5a2.6 2.6 0 0 1 4.2-2',
    'M6 10.3h4',
  ],
  node: ['M2.5 4h11v8h-11z', 'M5 6.5h6', 'M5 9.5h3'],
  refused: ['M8 2.2a5.8 5.8 0 1 0 0 11.6a5.8 5.8 0 0 0 0-11.6Z', 'M4 4l8 8'],
  error: ['M5.3 2h5.4L14 5.3v5.4L10.7 14H5.3L2 10.7V5.3Z', 'M8 5v3.5', 'M8 11v.1'],
  warning: ['M8 2.3 14.3 13.3H1.7Z', 'M8 6.5v3', 'M8 11.4v.1'],
  info: ['M8 2.2a5.8 5.8 0 1 0 0 11.6a5.8 5.8 0 0 0 0-11.6Z', 'M8 7.5v3.5', 'M8 5v.1'],
  check: ['M8 2.2a5.8 5.8 0 1 0 0 11.6a5.8 5.8 0 0 0 0-11.6Z', 'M5.3 8.2l1.9 1.9l3.6-4'],
  waypoint: ['M8 1.8 14.2 8 8 14.2 1.8 8Z', 'M8 5.5v5', 'M5.5 8h5'],
  ejected: ['M3 12.5h10', 'M8 3 13 9.5H3Z'],
  search: ['M7 2.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 0 0 0-9Z', 'M10.4 10.4 14 14'],
  layers: ['M8 2 14.5 5.5 8 9 1.5 5.5Z', 'M1.5 9.5 8 13l6.5-3.5'],
  pause: ['M5.5 3.5v9', 'M10.5 3.5v9'],
  play: ['M5 3.2v9.6L12.5 8Z'],
  sun: [
    'M8 5.2a2.8 2.8 0 1 0 0 5.6a2.8 2.8 0 0 0 0-5.6Z',
    'M8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3M3.4 3.4l.9.9M11.7 11.7l.9.9M3.4 12.6l.9-.9M11.7 4.3l.9-.9',
  ],
  moon: ['M13.2 9.6A5.6 5.6 0 0 1 6.4 2.8a5.6 5.6 0 1 0 6.8 6.8Z'],
  auto: ['M8 2.2a5.8 5.8 0 1 0 0 11.6a5.8 5.8 0 0 0 0-11.6Z', 'M8 2.2v11.6', 'M10 3v10M12 4.5v7'],
  plus: ['M8 3v10', 'M3 8h10'],
  minus: ['M3 8h10'],
  fit: ['M2.5 6V2.5H6', 'M10 2.5h3.5V6', 'M13.5 10v3.5H10', 'M6 13.5H2.5V10'],
  tidy: ['M2.5 3h4v3h-4z', 'M9.5 3h4v3h-4z', 'M9.5 10h4v3h-4z', 'M6.5 4.5h3', 'M8 4.5v7h1.5'],
  copy: ['M6 5.5h7.5V14H6z', 'M3.5 11H2.5V2.5H10v1'],
  close: ['M3.5 3.5l9 9', 'M12.5 3.5l-9 9'],
  right: ['M2.5 8h11', 'M9.5 4l4 4l-4 4'],
  left: ['M13.5 8h-11', 'M6.5 4l-4 4l4 4'],
  list: ['M5.5 4h8', 'M5.5 8h8', 'M5.5 12h8', 'M2.5 4h.1', 'M2.5 8h.1', 'M2.5 12h.1'],
  graph: ['M2 6h4v4H2z', 'M10 2h4v4h-4z', 'M10 10h4v4h-4z', 'M6 8h2V4h2', 'M8 8v4h2'],
} as const satisfies Record<string, readonly string[]>;

export type IconName = keyof typeof paths;

const svgNamespace = 'http://www.w3.org/2000/svg';

/** A drawing; with a label it says something, without one it is hidden from screen readers. */
export function icon(name: IconName, label?: string): SVGSVGElement {
  const svg = document.createElementNS(svgNamespace, 'svg');
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.classList.add('icon');
  if (label === undefined) {
    svg.setAttribute('aria-hidden', 'true');
  } else {
    svg.setAttribute('role', 'img');
    svg.setAttribute('aria-label', label);
  }
  for (const d of paths[name]) {
    const path = document.createElementNS(svgNamespace, 'path');
    path.setAttribute('d', d);
    svg.append(path);
  }
  return svg;
}

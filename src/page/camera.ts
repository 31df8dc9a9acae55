// Where the window stands over the graph, as numbers: fitting, zooming about a point, and between two places.
import type { Box } from './geometry.ts';
import { type Camera, zoomMax, zoomMin } from './hash-state.ts';

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Nothing is drawn larger than that just because there is room. */
const fitZoomMax = 1.1;
const fitMargin = 24;
/** What stands at the bottom of the window should cover nothing. */
const fitFoot = 40;

/** The camera by which a box is seen whole, in the middle. */
export function fitted(box: Box, window: Size): Camera {
  const across = Math.max(1, window.width - 2 * fitMargin) / Math.max(1, box.width);
  const down = Math.max(1, window.height - 2 * fitMargin - fitFoot) / Math.max(1, box.height);
  const zoom = clampZoom(Math.min(fitZoomMax, across, down));
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 + fitFoot / 2 / zoom, zoom };
}

/** The camera after zooming by `factor`, with what is at a point of the window staying there. */
export function zoomed(camera: Camera, factor: number, at: { x: number; y: number }, window: Size): Camera {
  const zoom = clampZoom(camera.zoom * factor);
  const [fromMiddleX, fromMiddleY] = [at.x - window.width / 2, at.y - window.height / 2];
  return {
    x: camera.x + fromMiddleX / camera.zoom - fromMiddleX / zoom,
    y: camera.y + fromMiddleY / camera.zoom - fromMiddleY / zoom,
    zoom,
  };
}

/** The camera, moved as little as may be so that a box is in the window, with some room around it. */
export function showing(camera: Camera, box: Box, window: Size): Camera {
  const margin = 24 / camera.zoom;
  const [halfWidth, halfHeight] = [window.width / 2 / camera.zoom, window.height / 2 / camera.zoom];
  const along = (middle: number, half: number, start: number, length: number): number => {
    if (length + 2 * margin > 2 * half) return start + length / 2;
    return Math.min(start - margin + half, Math.max(start + length + margin - half, middle));
  };
  return {
    x: along(camera.x, halfWidth, box.x, box.width),
    y: along(camera.y, halfHeight, box.y, box.height),
    zoom: camera.zoom,
  };
}

/** The box around some boxes; of no size without any. */
export function around(boxes: Iterable<Box>): Box {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const { x, y, width, height } of boxes) {
    left = Math.min(left, x);
    top = Math.min(top, y);
    right = Math.max(right, x + width);
    bottom = Math.max(bottom, y + height);
  }
  return left > right
    ? { x: 0, y: 0, width: 0, height: 0 }
    : { x: left, y: top, width: right - left, height: bottom - top };
}

function clampZoom(zoom: number): number {
  return Math.min(zoomMax, Math.max(zoomMin, zoom));
}

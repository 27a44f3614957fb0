// The class-activation map, drawn over a picture.

// The colours of bit explain, from no contribution to the largest.
const pale = [244, 241, 234], forClass = [217, 95, 2], againstClass = [63, 138, 216];
const mostOpaque = 0.85;

// draw fills a canvas, which lies over all of the picture, with an explanation.
export function draw(canvas, e) {
  const scale = Math.min(1, 480 / Math.max(e.width, e.height));
  canvas.width = Math.max(1, Math.round(e.width * scale));
  canvas.height = Math.max(1, Math.round(e.height * scale));
  const context = canvas.getContext('2d');
  const image = context.createImageData(canvas.width, canvas.height);
  const largest = Math.max(...e.map.map(Math.abs)) || 1;
  const [left, top, right, bottom] = e.view;
  for (let y = 0, i = 0; y < canvas.height; y++) {
    const py = (y + 0.5) * e.height / canvas.height;
    for (let x = 0; x < canvas.width; x++, i += 4) {
      const px = (x + 0.5) * e.width / canvas.width;
      if (px < left || px >= right || py < top || py >= bottom) { // not seen
        image.data[i + 3] = 150;
        continue;
      }
      const share = at(e, px, py) / largest, to = share < 0 ? againstClass : forClass, s = Math.abs(share);
      for (let c = 0; c < 3; c++) image.data[i + c] = pale[c] + (to[c] - pale[c]) * s;
      image.data[i + 3] = 255 * mostOpaque * s;
    }
  }
  context.putImageData(image, 0, 0);
}

// at interpolates the map between its positions.
function at(e, px, py) {
  const [x0, x1, fx] = between((px - e.origin[0]) / e.step[0], e.columns);
  const [y0, y1, fy] = between((py - e.origin[1]) / e.step[1], e.rows);
  const row = y => e.map[y * e.columns + x0] * (1 - fx) + e.map[y * e.columns + x1] * fx;
  return row(y0) * (1 - fy) + row(y1) * fy;
}

function between(v, n) {
  v = Math.min(Math.max(v, 0), n - 1);
  const low = Math.floor(v);
  return [low, Math.min(low + 1, n - 1), v - low];
}

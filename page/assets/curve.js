// The curve of a training: accuracy on training pictures, and the loss, over steps.
import { h, put, percent } from './dom.js';

const width = 320, height = 120, left = 30, right = 6, top = 8, bottom = 18;

export function curve() {
  const svg = h('svg', { viewBox: `0 0 ${width} ${height}`, class: 'chart', role: 'img' });
  const element = h('figure', { class: 'curve', hidden: true }, svg,
    h('figcaption', { class: 'legend' }, h('span', { class: 'key accuracy' }), 'accuracy on training pictures', h('span', { class: 'key loss' }), 'loss'));
  return {
    element,
    draw: (points, steps) => {
      if (points.length < 2) return;
      const x = s => left + (width - left - right) * s / steps, y = v => height - bottom - (height - top - bottom) * v;
      const most = Math.max(...points.map(p => p.loss));
      const line = (f, name) => h('polyline', { class: name, points: points.map(p => `${x(p.step).toFixed(1)},${y(f(p)).toFixed(1)}`).join(' ') });
      const text = (label, at) => {
        const t = document.createElementNS('http://www.w3.org/2000/svg', 'text');
        for (const [k, v] of Object.entries(at)) t.setAttribute(k, v);
        t.textContent = label;
        return t;
      };
      put(svg,
        [0, 0.5, 1].map(v => h('line', { class: 'grid', x1: left, x2: width - right, y1: y(v), y2: y(v) })),
        [0, 0.5, 1].map(v => text(percent(v), { x: left - 4, y: y(v) + 3, 'text-anchor': 'end' })),
        text('0', { x: left, y: height - 4 }), text(`${steps} steps`, { x: width - right, y: height - 4, 'text-anchor': 'end' }),
        line(p => p.loss / most, 'loss'), line(p => p.accuracy, 'accuracy'));
      const last = points.at(-1);
      svg.setAttribute('aria-label', `Accuracy on training pictures ${percent(last.accuracy)}, loss ${last.loss.toFixed(2)} after ${last.step} steps; the loss began at ${points[0].loss.toFixed(2)}.`);
    },
  };
}

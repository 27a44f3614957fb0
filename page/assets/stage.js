// A stage: a picture from anywhere, what a model says of it, and where it sees that. Classify and the trying of a taught
// model are stages.
import { h, put, percent, complain, calm } from './dom.js';
import { dropped, chosen, takesDrops } from './files.js';
import { draw } from './overlay.js';
import * as camera from './camera.js';

let unique = 0;

// stage returns an element, and what is done with it from outside. ask(file, className, signal) gets the answer of the
// server; explainable says whether classes can be explained one by one.
export function stage({ ask, hint, explainable = true }) {
  const id = ++unique;
  let file, url, answer, controller, stopCamera, stopLoop;

  const image = h('img', { alt: 'The picture', on: { error: () => frame.classList.add('unseen'), load: () => shape(image.naturalWidth, image.naturalHeight) } });
  const video = h('video', { muted: true, playsinline: true, 'aria-label': 'The camera', hidden: true, on: { resize: () => shape(video.videoWidth, video.videoHeight) } });
  const shape = (w, h) => frame.style.setProperty('--ratio', String(w && h ? w / h : 1));
  const map = h('canvas', { class: 'map', 'aria-hidden': 'true', hidden: true });
  const frame = h('div', { class: 'frame', hidden: true }, image, video, map, h('p', { class: 'unseen-note', text: 'The browser cannot show this format. The model can read it.' }));
  const input = h('input', { type: 'file', accept: 'image/*,.tif,.tiff,.bmp', class: 'visually-hidden', id: `file-${id}`, on: { change: () => take(chosen(input)) } });
  const cameraButton = h('button', { type: 'button', class: 'plain', text: 'Use the camera', on: { click: () => toggleCamera() } });
  const empty = h('div', { class: 'empty' },
    h('svg', { viewBox: '0 0 48 48', width: 44, height: 44, 'aria-hidden': 'true', class: 'glyph' },
      h('rect', { x: 5, y: 9, width: 38, height: 30, rx: 4 }), h('circle', { cx: 16, cy: 19, r: 3.5 }), h('path', { d: 'M7 35l11-11 8 8 6-6 9 9' })),
    h('p', { class: 'lead', text: 'Drop a picture here' }), h('p', { class: 'soft', text: hint }));
  const well = h('div', { class: 'well' }, empty, frame);
  const showMap = h('input', { type: 'checkbox', checked: true, on: { change: drawMap } });
  const opacity = h('input', { type: 'range', min: 10, max: 100, value: 70, 'aria-label': 'Opacity of the map', on: { input: drawMap } });
  const mapControls = h('div', { class: 'map-controls', hidden: true },
    h('label', { class: 'check' }, showMap, 'Show what it looks at'), opacity,
    h('p', { class: 'legend' }, h('span', { class: 'swatch against' }), 'speaks against', h('span', { class: 'swatch for' }), 'speaks for'));
  const results = h('div', { class: 'results', 'aria-live': 'polite' });
  const element = h('div', { class: 'stage bare' },
    h('div', { class: 'stage-left' }, well,
      h('div', { class: 'row buttons' }, h('label', { class: 'button primary', for: `file-${id}` }, 'Choose a picture'), input, cameraButton), mapControls),
    results);
  takesDrops(well, async e => take(await dropped(e)));

  function take(list) {
    if (!list.length) return;
    endCamera();
    show(list[0].file);
  }

  // show shows a file and asks what it is.
  async function show(f) {
    file = f;
    if (url) URL.revokeObjectURL(url);
    url = URL.createObjectURL(f);
    frame.classList.remove('unseen');
    image.src = url;
    image.hidden = false;
    video.hidden = true;
    frame.hidden = false;
    empty.hidden = true;
    well.classList.add('filled');
    await classify();
  }

  async function classify(className) {
    controller?.abort();
    controller = new AbortController();
    const { signal } = controller;
    element.classList.add('waiting');
    try {
      calm();
      answer = await ask(file, className, signal);
      render(className);
    } catch (error) {
      if (signal.aborted) return;
      answer = undefined;
      put(results);
      element.classList.add('bare');
      map.hidden = mapControls.hidden = true;
      frame.classList.remove('mapped');
      complain(error);
    } finally {
      if (!signal.aborted) element.classList.remove('waiting');
    }
  }

  function render(className) {
    const list = answer.predictions, best = list[0], explained = answer.explanation;
    const focused = results.contains(document.activeElement) ? document.activeElement.dataset.label : undefined;
    const rows = list.map(p => {
      const [name, ...others] = p.label.split(', ');
      const row = [
        h('span', { class: 'bar-label' }, h('b', { text: name }), others.length > 0 && h('span', { class: 'soft', text: ' ' + others.join(', ') })),
        h('span', { class: 'bar-score', text: percent(p.score) }),
        h('span', { class: 'bar' }, h('span', { style: { width: `${Math.max(0.5, 100 * p.score)}%` } }))];
      const on = explained.class === p.index;
      return h('li', {}, explainable && !stopCamera
        ? h('button', { type: 'button', class: 'bar-row', 'aria-pressed': String(on), 'data-label': p.label, title: `What speaks for ${name}?`, on: { click: () => classify(p.label) } }, row)
        : h('div', { class: 'bar-row' }, row));
    });
    element.classList.remove('bare');
    const sure = best.score >= 0.9 ? 'It shows' : best.score >= 0.5 ? 'It probably shows' : 'It might show';
    put(results,
      answer.unknown
        ? h('div', { class: 'verdict unknown' }, h('p', { class: 'soft', text: 'It shows' }), h('h2', { text: 'None of the classes' }),
          h('p', { class: 'soft', text: 'Nothing the model knows comes close enough. Nearest are:' }))
        : h('div', { class: 'verdict' }, h('p', { class: 'soft', text: sure }), h('h2', { text: best.label.split(', ')[0] }),
          h('p', { class: 'soft', text: `with ${percent(best.score)} of the score` })),
      h('ol', { class: 'bars', 'aria-label': 'The most likely classes' }, rows),
      explainable && !stopCamera && h('p', { class: 'soft small', text: 'Choose a class to see what speaks for it.' }));
    if (focused) results.querySelector(`[data-label="${CSS.escape(focused)}"]`)?.focus();
    mapControls.hidden = false;
    drawMap();
  }

  function drawMap() {
    const e = answer?.explanation;
    map.hidden = !e || !showMap.checked;
    frame.classList.toggle('mapped', !map.hidden);
    opacity.disabled = !showMap.checked;
    if (map.hidden) return;
    draw(map, e);
    map.style.opacity = opacity.value / 100;
  }

  async function toggleCamera() {
    if (stopCamera) return endCamera();
    cameraButton.disabled = true;
    try {
      calm();
      video.hidden = frame.hidden = false;
      image.hidden = empty.hidden = true;
      frame.classList.remove('unseen');
      stopCamera = await camera.open(video);
      well.classList.add('filled');
      cameraButton.textContent = 'Stop the camera';
      stopLoop = camera.loop(video, async shot => { file = shot; await classify(); });
    } catch (error) {
      endCamera();
      complain(error);
    } finally {
      cameraButton.disabled = false;
    }
  }

  function endCamera() {
    stopLoop?.();
    stopCamera?.();
    stopLoop = stopCamera = undefined;
    cameraButton.textContent = 'Use the camera';
    if (video.hidden) return;
    video.hidden = map.hidden = true;
    frame.classList.remove('mapped');
    if (file && answer) show(file); // the last frame stays, to be looked at
    else {
      frame.hidden = true;
      empty.hidden = false;
      well.classList.remove('filled');
    }
  }

  return {
    element, show,
    again: () => { if (file && !stopCamera) classify(); },
    close: () => {
      controller?.abort();
      stopLoop?.();
      stopCamera?.();
      if (url) URL.revokeObjectURL(url);
    },
  };
}

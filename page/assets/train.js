// The instant model: fitted again after every change, and judged by leaving out one picture at a time.
import { h, put, percent, count, complain, busy } from './dom.js';
import * as api from './api.js';

export function trainPanel(shared) {
  const { id } = shared;
  let model, timer, controller;
  const button = h('button', { type: 'button', class: 'primary', text: 'Train', on: { click: () => busy(button, fitNow) } });
  const result = h('div', { 'aria-live': 'polite', class: 'fit' });
  const element = h('section', { class: 'card train', 'aria-labelledby': 'train-title' },
    h('div', { class: 'card-head' }, h('h2', { id: 'train-title', text: 'Instant model' }), button), result);

  const ready = () => (shared.project?.classes ?? []).filter(c => c.pictures > 0).length >= 2;

  // fit trains soon, once changes have come to rest.
  function fit() {
    clearTimeout(timer);
    if (!ready()) {
      controller?.abort();
      model = undefined;
      shared.mistakes = new Map();
      return render();
    }
    timer = setTimeout(() => fitNow().catch(complain), 150);
  }

  async function fitNow() {
    controller?.abort();
    const mine = controller = new AbortController();
    element.classList.add('waiting');
    try {
      const fitted = await api.probe(id, { signal: mine.signal });
      model = fitted;
      shared.mistakes = new Map((fitted.mistakes ?? []).map(m => [m.picture, m]));
      await shared.refresh();
    } catch (error) {
      if (!mine.signal.aborted) throw error;
    } finally {
      if (controller === mine) element.classList.remove('waiting');
    }
  }

  function render() {
    button.disabled = !ready();
    model ??= shared.project?.models?.find(m => m.kind === 'probe');
    if (!ready()) {
      put(result, h('p', { class: 'soft', text: shared.project?.classes?.length >= 2
        ? 'Give at least two classes pictures, and it learns at once.' : 'Make at least two classes, and give them pictures.' }));
      return;
    }
    if (!model) return put(result, h('p', { class: 'soft', text: 'It looks at your pictures…' }));
    const wrong = shared.mistakes.size;
    put(result,
      model.judged
        ? h('div', { class: 'score' }, h('p', { class: 'big', id: 'accuracy', text: percent(model.accuracy) }),
          h('p', { class: 'soft', text: `right on ${count(model.judged, 'picture')}, each judged by a model that has not seen it` }))
        : h('p', { class: 'soft', text: 'Trained. With two pictures or more in every class it can also say how good it is.' }),
      model.judged > 0 && h('details', {}, h('summary', { text: 'What is taken for what' }), confusion(model)),
      wrong > 0 && h('p', { class: 'soft small', text: `${count(wrong, 'picture is', 'pictures are')} marked where it is wrong. If a picture is in the wrong class, drag it to the right one, or open its menu.` }));
  }

  return {
    element, fit, render,
    close: () => { clearTimeout(timer); controller?.abort(); },
  };
}

// confusion is a table of answers by class.
export function confusion(model) {
  const largest = Math.max(...model.confusion.flat(), 1);
  return h('div', { class: 'scroll', tabindex: 0, role: 'group', 'aria-label': 'What is taken for what' }, h('table', { class: 'confusion' },
    h('thead', {}, h('tr', {}, h('th', { scope: 'col', text: 'It is' }), model.classes.map(c => h('th', { scope: 'col', text: c })))),
    h('tbody', {}, model.confusion.map((row, i) => h('tr', {}, h('th', { scope: 'row', text: model.classes[i] }),
      row.map((n, j) => h('td', { class: i === j ? 'right' : n ? 'wrong' : 'none', style: { '--share': String(n / largest) }, text: String(n) })))))));
}

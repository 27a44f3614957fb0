// The view Classify: what a model of the server says of a picture.
import { h, put, complain, count } from './dom.js';
import { pasted } from './files.js';
import { stage } from './stage.js';
import * as api from './api.js';

export async function classifyView(main) {
  const list = (await api.models()).models.filter(m => m.classes > 0);
  let model = list[0]?.name;
  const about = h('p', { class: 'soft small' });
  const describe = () => {
    const m = list.find(m => m.name === model);
    about.textContent = m ? `Knows ${count(m.classes, 'class', 'classes')}, has ${(m.parameters / 1e6).toFixed(1)} million parameters.` : '';
  };
  const s = stage({
    hint: 'or paste it, choose a file, or use the camera. It stays between this page and the server it came from.',
    ask: (file, name, signal) => api.explain(model, file, { signal }, name),
  });
  const select = h('select', { id: 'model', on: { change: () => { model = select.value; describe(); s.again(); } } },
    list.map(m => h('option', { value: m.name, text: m.name })));
  describe();
  put(main,
    h('div', { class: 'head' },
      h('div', {}, h('h1', { text: 'What does it show?' }), h('p', { class: 'soft', text: 'A model looks at your picture, says what it sees, and shows where.' })),
      h('div', { class: 'model-choice' }, h('label', { for: 'model', text: 'Model' }), select, about)),
    s.element);
  if (!list.length) complain(new Error('None of the server’s models knows classes. Teach one.'));
  const paste = e => { const files = pasted(e); if (files.length) s.show(files[0]); };
  document.addEventListener('paste', paste);
  return () => {
    document.removeEventListener('paste', paste);
    s.close();
  };
}

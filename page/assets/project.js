// The view of one project: its classes on the left, what is made of them on the right.
import { h, put, ask, say, complain, busy } from './dom.js';
import { board } from './board.js';
import { trainPanel } from './train.js';
import { tuningPanel } from './tuning.js';
import { stage } from './stage.js';
import { takePanel } from './take.js';
import { pasted } from './files.js';
import * as api from './api.js';

export async function projectView(main, id) {
  // What all parts share. refresh reads the project again and tells them.
  const shared = { id, project: undefined, pictures: [], mistakes: new Map(), refresh, changed };
  let closed = false, reading, queued;

  const title = h('h1');
  const notes = h('ul', { class: 'notes', 'aria-label': 'What to know about the pictures' });
  const classes = board(shared);
  const train = trainPanel(shared);
  const tuning = tuningPanel(shared);
  const take = takePanel(shared);
  let kind = 'probe';
  const which = h('select', { id: 'try-kind', on: { change: () => { kind = which.value; tryStage.again(); } } });
  const tryStage = stage({
    hint: 'one that it has not seen, or hold something in front of the camera.', explainable: false,
    ask: (file, _, signal) => api.classify(id, kind, file, { signal }),
  });
  const tryIt = h('section', { class: 'card try', 'aria-labelledby': 'try-title', hidden: true },
    h('div', { class: 'card-head' }, h('h2', { id: 'try-title', text: 'Try it' }), h('label', { class: 'inline' }, h('span', { class: 'visually-hidden', text: 'Model to try' }), which)),
    tryStage.element);

  put(main,
    h('div', { class: 'head' },
      h('div', {}, h('p', { class: 'crumb' }, h('a', { href: '#/teach', text: 'Projects' })), title),
      h('div', { class: 'row' },
        h('button', { type: 'button', class: 'quiet', text: 'Rename', on: { click: rename } }),
        h('button', { type: 'button', class: 'quiet', text: 'Delete', on: { click: remove } }))),
    h('div', { class: 'workbench' },
      h('div', { class: 'left' }, notes, classes.element),
      h('div', { class: 'right' }, train.element, tuning.element, tryIt, take.element)));

  // refresh reads project and pictures. While they are being read already, they are read once more after that: what is
  // asked for now must be in it.
  function refresh() {
    if (!reading) return reading = read().finally(() => { reading = undefined; });
    return queued ??= reading.catch(() => {}).then(() => { queued = undefined; return refresh(); });
  }

  async function read() {
    const [project, { pictures }] = await Promise.all([api.project(id), api.pictures(id)]);
    if (closed) return;
    Object.assign(shared, { project, pictures });
    render();
  }

  // changed is called when classes or pictures have changed.
  async function changed() {
    await refresh();
    train.fit();
  }

  function render() {
    const { project } = shared;
    title.textContent = project.name;
    document.title = `${project.name} · BiT`;
    put(notes, (project.warnings ?? []).map(w => h('li', { text: w.message })));
    notes.hidden = !project.warnings?.length;
    for (const part of [classes, train, tuning, take]) part.render();
    const kinds = (project.models ?? []).map(m => m.kind);
    tryIt.hidden = !kinds.length;
    const names = { probe: 'Instant model', finetune: 'Fine-tuned model' };
    put(which, kinds.map(k => h('option', { value: k, text: names[k] })));
    if (!kinds.includes(kind)) kind = kinds[0] ?? 'probe';
    which.value = kind;
    which.hidden = kinds.length < 2;
  }

  async function rename(e) {
    const answer = await ask({ title: 'Rename the project', fields: [{ name: 'name', label: 'Name', value: shared.project.name }], yes: 'Rename' });
    if (answer) await busy(e.target, async () => { await api.changeProject(id, { name: answer.name }); await refresh(); });
  }

  async function remove(e) {
    const { project } = shared;
    const sure = await ask({ title: `Delete “${project.name}”?`, text: 'Its classes, pictures and models go with it. Models that are kept on the server stay.', yes: 'Delete it', danger: true });
    if (sure) await busy(e.target, async () => { await api.deleteProject(id); say(`“${project.name}” is deleted.`); location.hash = '#/teach'; });
  }

  const paste = e => {
    const files = pasted(e);
    if (!files.length || e.target.matches?.('input')) return;
    const over = classes.current();
    if (over) classes.add(over, files.map(file => ({ file, folder: '' })));
    else if (!tryIt.hidden) tryStage.show(files[0]);
  };
  document.addEventListener('paste', paste);

  await refresh();
  train.fit();
  tuning.watch();
  return () => {
    closed = true;
    document.removeEventListener('paste', paste);
    for (const part of [classes, train, tuning]) part.close();
    tryStage.close();
  };
}

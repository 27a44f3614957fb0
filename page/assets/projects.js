// The view of all projects.
import { h, put, count, busy } from './dom.js';
import * as api from './api.js';

export async function projectsView(main) {
  let projects;
  try {
    ({ projects } = await api.projects());
  } catch (error) {
    if (error.status !== 404) throw error;
    put(main, h('div', { class: 'head' }, h('div', {}, h('h1', { text: 'Teach a model' }),
      h('p', { class: 'soft', text: 'Nobody can teach on this server: it has no folder for projects. Whoever runs it can name one, by --projects.' }))));
    return;
  }
  const name = h('input', { id: 'name', required: true, maxlength: 120, placeholder: 'Recyclable or not', autocomplete: 'off' });
  const button = h('button', { class: 'primary', text: 'Begin' });
  const form = h('form', {
    class: 'create', on: {
      submit: e => {
        e.preventDefault();
        busy(button, async () => { location.hash = `#/teach/${(await api.createProject(name.value)).id}`; });
      },
    },
  }, h('label', { for: 'name', text: 'What shall it tell apart?' }), h('div', { class: 'row' }, name, button));
  put(main,
    h('div', { class: 'head' }, h('div', {},
      h('h1', { text: 'Teach a model' }),
      h('p', { class: 'soft', text: 'Twenty pictures of each thing are enough for a start. No code, no upload to anyone: pictures and models stay on this server.' }))),
    h('section', { class: 'card', 'aria-label': 'A new project' }, form),
    projects.length > 0 && h('section', { 'aria-labelledby': 'projects-title' },
      h('h2', { id: 'projects-title', text: 'Your projects' }),
      h('ul', { class: 'projects' }, projects.map(p => h('li', {}, h('a', { class: 'card project', href: `#/teach/${p.id}` },
        h('b', { text: p.name }), h('span', { class: 'soft small', text: `${count(p.pictures, 'picture')}, changed ${when(p.changed)}` })))))),
    projects.length === 0 && h('ol', { class: 'steps' },
      [['Show', 'Make a class for each answer and give it pictures: drop files or whole folders, or hold a button and film.'],
        ['Train', 'It learns while you add pictures, and says how often it is right on pictures it has not seen.'],
        ['Use', 'Try it with the camera, keep it on this server, or download it for Python, ONNX or the command line.']]
        .map(([title, text]) => h('li', {}, h('b', { text: title }), h('span', { class: 'soft', text })))));
}

function when(time) {
  const t = new Date(time), days = (Date.now() - t) / 864e5;
  if (days < 1 && t.getDate() === new Date().getDate()) return 'at ' + t.toLocaleTimeString('en', { hour: 'numeric', minute: '2-digit' });
  return 'on ' + t.toLocaleDateString('en', { day: 'numeric', month: 'long', year: days > 300 ? 'numeric' : undefined });
}

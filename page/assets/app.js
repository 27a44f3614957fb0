// The page's frame: which view is shown.
import { put, h, complain, calm } from './dom.js';
import { classifyView } from './classify.js';
import { projectsView } from './projects.js';
import { projectView } from './project.js';

const main = document.getElementById('main');
let leave, turn = 0;

async function route() {
  const [view, project] = location.hash.replace(/^#\/?/, '').split('/');
  const id = project && encodeURIComponent(project); // it becomes part of paths, and a link can say anything
  if (location.hash === '#main') return; // the link that skips the header
  const mine = ++turn;
  leave?.();
  leave = undefined;
  calm();
  const teach = view === 'teach';
  for (const a of document.querySelectorAll('nav a')) {
    if (a.dataset.view === (teach ? 'teach' : 'classify')) a.setAttribute('aria-current', 'page');
    else a.removeAttribute('aria-current');
  }
  document.title = teach ? 'Teach · BiT' : 'Classify · BiT';
  main.className = teach ? (id ? 'view-project' : 'view-projects') : 'view-classify';
  try {
    const left = await (teach ? (id ? projectView(main, id) : projectsView(main)) : classifyView(main));
    if (mine === turn) leave = left;
    else left?.();
  } catch (error) {
    if (mine !== turn) return;
    put(main, h('div', { class: 'head' }, h('h1', { text: 'That did not work' }),
      h('p', {}, h('a', { href: teach ? '#/teach' : '#/classify', text: teach ? 'To all projects' : 'Try again', on: { click: () => setTimeout(route) } }))));
    complain(error);
  }
}

window.addEventListener('hashchange', () => { route(); main.focus({ preventScroll: true }); window.scrollTo(0, 0); });
route();

// Thumbnails: looked at, selected, moved to another class and deleted, by pointer and by keyboard.
import { h, put, say, complain, count, calm } from './dom.js';
import * as api from './api.js';

export function thumbnails(shared) {
  const { id } = shared;
  const items = new Map(); // by picture: {element, button, url}
  const selected = new Set();
  let dragged = [], menu;

  // Pictures are fetched when they come into view: with the token, which an <img> could not send.
  const seen = new IntersectionObserver(entries => {
    for (const e of entries) {
      if (!e.isIntersecting) continue;
      seen.unobserve(e.target);
      api.blob(api.thumbnail(id, e.target.dataset.picture)).then(b => {
        const item = items.get(Number(e.target.dataset.picture));
        if (item) e.target.querySelector('img').src = item.url = URL.createObjectURL(b);
      }, () => e.target.classList.add('broken'));
    }
  }, { rootMargin: '200px' });

  function item(p) {
    const image = h('img', { alt: '', draggable: 'false' });
    const flag = h('span', { class: 'flag', hidden: true });
    const button = h('button', {
      type: 'button', class: 'thumb', draggable: 'true', 'data-picture': p.id, 'aria-haspopup': 'menu', tabindex: -1,
      on: {
        click: e => e.ctrlKey || e.metaKey || e.shiftKey ? toggle(p.id) : open(p.id),
        keydown: e => key(e, p.id),
        focus: () => rove(button),
        dragstart: e => {
          dragged = selected.has(p.id) ? [...selected] : [p.id];
          e.dataTransfer.effectAllowed = 'move';
          e.dataTransfer.setData('text/plain', dragged.length === 1 ? p.name : count(dragged.length, 'picture'));
          document.body.classList.add('dragging');
        },
        dragend: () => { dragged = []; document.body.classList.remove('dragging'); },
      },
    }, image, flag);
    seen.observe(button);
    return { element: h('li', {}, button), button, flag, picture: p };
  }

  // rove makes a button the one of its class that Tab reaches; arrow keys reach the others.
  function rove(button) {
    for (const b of button.closest('ul').querySelectorAll('.thumb[tabindex="0"]')) b.tabIndex = -1;
    button.tabIndex = 0;
  }

  function key(e, p) {
    const all = [...e.target.closest('ul').querySelectorAll('.thumb')], at = all.indexOf(e.target);
    const columns = Math.max(1, all.filter(b => b.offsetTop === all[0].offsetTop).length);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + columns, ArrowUp: at - columns, Home: 0, End: all.length - 1 }[e.key];
    if (to !== undefined) {
      e.preventDefault();
      all[Math.min(Math.max(to, 0), all.length - 1)].focus();
    } else if (e.key === 'Delete' || e.key === 'Backspace') {
      e.preventDefault();
      remove(chosen(p));
    } else if (e.key === 'x' || e.key === 'X') {
      toggle(p);
    } else if (e.key === 'Escape') {
      clear();
    }
  }

  function toggle(p) {
    if (!selected.delete(p)) selected.add(p);
    mark();
    say(selected.size ? `${count(selected.size, 'picture')} selected.` : 'Nothing is selected.');
  }

  function clear() { selected.clear(); mark(); }
  const chosen = p => selected.has(p) ? [...selected] : [p];

  // mark shows what is selected, and what the model gets wrong.
  function mark() {
    const names = new Map((shared.project.classes ?? []).map(c => [c.id, c.name]));
    for (const [p, { button, flag, picture }] of items) {
      const wrong = shared.mistakes.get(p);
      button.classList.toggle('selected', selected.has(p));
      button.classList.toggle('wrong', !!wrong);
      flag.hidden = !wrong;
      flag.textContent = wrong ? `${names.get(wrong.answer) ?? ''}?` : '';
      button.setAttribute('aria-label', picture.name + (selected.has(p) ? ', selected' : '') + (wrong ? `, taken for ${names.get(wrong.answer)} when left out` : ''));
    }
  }

  // open shows what can be done with a picture, or with all that are selected.
  function open(p) {
    close();
    const { button, picture } = items.get(p), list = chosen(p);
    const choose = (text, f, more = {}) => h('button', { type: 'button', role: 'menuitem', tabindex: -1, text, ...more, on: { click: () => { close(); f(); } } });
    const others = shared.project.classes.filter(c => c.id !== picture.class || list.length > 1);
    const wrong = shared.mistakes.get(p);
    menu = h('div', {
      class: 'menu', role: 'menu', popover: 'auto', 'aria-label': list.length === 1 ? picture.name : count(list.length, 'picture'),
      on: {
        keydown: e => {
          const all = [...menu.querySelectorAll('[role=menuitem]')], at = all.indexOf(document.activeElement);
          const to = { ArrowDown: (at + 1) % all.length, ArrowUp: (at - 1 + all.length) % all.length, Home: 0, End: all.length - 1 }[e.key];
          if (to !== undefined) { e.preventDefault(); all[to].focus(); }
          if (e.key === 'Tab') close();
          if (e.key.length === 1 && e.key !== ' ') all.find((b, i) => i > at && b.dataset.name?.toLowerCase().startsWith(e.key.toLowerCase()))?.focus();
        },
        toggle: e => { if (e.newState === 'closed') { const m = e.target; setTimeout(() => m.remove()); } },
      },
    },
    h('p', { class: 'soft small menu-title', text: list.length === 1 ? picture.name : `${count(list.length, 'picture')} selected` }),
    wrong && h('p', { class: 'small menu-note', text: `Left out, it is taken for ${shared.project.classes.find(c => c.id === wrong.answer)?.name} (${Math.round(100 * wrong.score)} %).` }),
    others.map(c => choose(`Move to ${c.name}`, () => move(list, c.id), { 'data-name': c.name })),
    choose(selected.has(p) ? 'Deselect' : 'Select', () => { toggle(p); items.get(p)?.button.focus(); }),
    choose('Delete', () => remove(list), { class: 'bad' }));
    document.getElementById('main').append(menu); // of which it is a part, for those who do not see it
    menu.showPopover();
    const at = button.getBoundingClientRect(), size = menu.getBoundingClientRect();
    menu.style.left = `${Math.max(8, Math.min(at.left, innerWidth - size.width - 8))}px`;
    menu.style.top = `${Math.max(8, at.bottom + 4 + size.height > innerHeight ? at.top - size.height - 4 : at.bottom + 4)}px`;
    menu.querySelector('[role=menuitem]').focus();
  }

  function close() {
    if (!menu) return;
    if (menu.isConnected) menu.hidePopover();
    menu = undefined;
  }

  // neighbour is the thumbnail that gets the focus when pictures leave their class.
  function neighbour(list) {
    const all = [...items.get(list[0]).element.parentElement.querySelectorAll('.thumb')];
    const at = all.findIndex(b => list.includes(Number(b.dataset.picture)));
    return all.slice(at).find(b => !list.includes(Number(b.dataset.picture))) ?? all.slice(0, at).at(-1);
  }

  async function move(list, to) {
    try {
      calm();
      const next = neighbour(list);
      await api.movePictures(id, list, to);
      selected.clear();
      await shared.changed();
      next?.focus();
      say(`${count(list.length, 'picture')} moved to ${shared.project.classes.find(c => c.id === to)?.name}.`);
    } catch (error) {
      complain(error);
    }
  }

  async function remove(list) {
    try {
      calm();
      const next = neighbour(list);
      await api.removePictures(id, list);
      selected.clear();
      await shared.changed();
      next?.focus();
      say(`${count(list.length, 'picture')} deleted.`);
    } catch (error) {
      complain(error);
    }
  }

  return {
    dragging: () => dragged.length > 0,
    moveDragged: to => {
      const list = dragged.filter(p => items.get(p)?.picture.class !== to);
      dragged = [];
      document.body.classList.remove('dragging');
      if (list.length) move(list, to);
    },
    // fill shows pictures in a list, in which some may be already.
    fill: (ul, pictures) => {
      const elements = pictures.map(p => {
        if (!items.has(p.id)) items.set(p.id, item(p));
        const i = items.get(p.id);
        i.picture = p;
        return i.element;
      });
      if (elements.length !== ul.children.length || elements.some((e, i) => e !== ul.children[i])) {
        const focused = document.activeElement;
        put(ul, elements);
        if (focused !== document.activeElement && ul.contains(focused)) focused.focus({ preventScroll: true });
      }
      if (!ul.querySelector('.thumb[tabindex="0"]') && elements[0]) elements[0].firstChild.tabIndex = 0;
    },
    // settle lets go of pictures that are gone, when all lists are filled.
    settle: () => {
      const have = new Set(shared.pictures.map(p => p.id));
      for (const [p, i] of items) {
        if (have.has(p)) continue;
        if (i.url) URL.revokeObjectURL(i.url);
        seen.unobserve(i.button);
        items.delete(p);
        selected.delete(p);
      }
      mark();
    },
    close: () => {
      close();
      seen.disconnect();
      for (const i of items.values()) if (i.url) URL.revokeObjectURL(i.url);
    },
  };
}

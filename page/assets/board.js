// The classes of a project with their pictures.
import { h, put, ask, say, complain, busy, count, calm, sentence } from './dom.js';
import { dropped, chosen, takesDrops } from './files.js';
import { thumbnails } from './thumbnails.js';
import { recorder } from './recorder.js';
import * as api from './api.js';

export function board(shared) {
  const { id } = shared;
  const cards = new Map(); // by class
  const list = h('ul', { class: 'classes', 'aria-label': 'Classes' });
  const name = h('input', { id: 'class-name', required: true, maxlength: 120, autocomplete: 'off', placeholder: 'Name of a class' });
  const button = h('button', { class: 'primary', text: 'Add a class' });
  const welcome = h('div', { hidden: true }, h('h2', { text: 'Begin with two classes' }),
    h('p', { class: 'soft', text: 'A class is an answer that the model shall give: “ripe” and “unripe”, or the names of your cats. Name the first one.' }));
  const form = h('form', { class: 'card add-class', 'aria-label': 'A new class', on: { submit: e => { e.preventDefault(); add(); } } }, welcome,
    h('label', { class: 'visually-hidden', for: 'class-name', text: 'Name of the new class' }), h('div', { class: 'row' }, name, button),
    h('p', { class: 'soft small', text: 'Or drop folders here: each becomes a class of its name.' }));
  const element = h('section', { 'aria-labelledby': 'classes-title' }, h('h2', { id: 'classes-title', class: 'visually-hidden', text: 'Classes and pictures' }), list, form);
  takesDrops(form, async e => addFolders(await dropped(e)));
  const grid = thumbnails(shared);

  async function add() {
    await busy(button, async () => {
      const made = await api.addClass(id, name.value);
      name.value = '';
      await shared.changed();
      say(`Class ${made.name} is added.`);
      name.focus();
    });
  }

  // addFolders puts the pictures of each folder into the class of its name, which is made if need be.
  async function addFolders(files) {
    calm();
    const folders = Map.groupBy(files.filter(f => f.folder), f => f.folder);
    if (!folders.size) return complain(new Error('Those are single files: drop them onto a class, or drop folders here.'));
    try {
      for (const [folder, inside] of folders) {
        let c = shared.project.classes?.find(c => c.name.toLowerCase() === folder.toLowerCase());
        if (!c) {
          c = await api.addClass(id, folder);
          await shared.refresh();
        }
        await addTo(c.id, inside);
      }
    } catch (error) {
      complain(error);
    }
  }

  // addTo uploads files to a class, a few at a time.
  async function addTo(c, files) {
    if (!files.length) return;
    calm();
    const card = cards.get(c), waiting = [...files];
    let added = 0, known = 0, done = 0;
    const refused = [];
    card.progress(0, files.length);
    const worker = async () => {
      for (let f; (f = waiting.shift());) {
        try {
          const r = await api.addPicture(id, c, f.file, f.file.name ?? 'picture');
          added += r.added.length;
          known += r.known?.length ?? 0;
        } catch (error) {
          if (error.status === 0 || error.status === 404) throw error;
          refused.push(`${f.file.name}: ${error.message.replace(/^imaging: /, '')}`);
        }
        card.progress(++done, files.length);
      }
    };
    try {
      await Promise.all([worker(), worker(), worker()]);
    } catch (error) {
      complain(error);
    }
    card.progress(0, 0);
    await shared.changed();
    say(`${count(added, 'picture')} added to ${card.name()}` + (known ? `, ${known} of the chosen were there already.` : '.'));
    if (refused.length) {
      complain(new Error(`${count(refused.length, 'file')} could not be taken. ${sentence(refused[0])}` + (refused.length > 1 ? ` (and ${refused.length - 1} more)` : '')));
    }
  }

  // card makes what shows a class.
  function card(c) {
    let current = c;
    const title = h('h3', { id: `class-${c.id}` });
    const number = h('span', { class: 'soft small' });
    const files = h('input', { type: 'file', multiple: true, accept: 'image/*,.tif,.tiff,.bmp', class: 'visually-hidden', id: `files-${c.id}`, on: { change: () => addTo(c.id, chosen(files)) } });
    const folder = h('input', { type: 'file', webkitdirectory: true, class: 'visually-hidden', id: `folder-${c.id}`, on: { change: () => addTo(c.id, chosen(folder)) } });
    const bar = h('progress', { class: 'thin', hidden: true, 'aria-label': `Pictures on their way to ${c.name}` });
    const pictures = h('ul', { class: 'thumbs', 'aria-labelledby': `class-${c.id}` });
    const hint = h('p', { class: 'drop-hint soft', text: 'Drop pictures or a folder here.' });
    const film = recorder(() => current.name, shot => api.addPicture(id, c.id, shot, `camera ${new Date().toISOString().slice(11, 23)}.jpg`), () => shared.changed());
    const element = h('li', { class: 'card class', 'data-class': c.id },
      h('div', { class: 'card-head' }, h('div', { class: 'class-title' }, title, number),
        h('div', { class: 'row tight' },
          h('button', { type: 'button', class: 'quiet', text: 'Rename', 'aria-describedby': `class-${c.id}`, on: { click: rename } }),
          h('button', { type: 'button', class: 'quiet', text: 'Delete', 'aria-describedby': `class-${c.id}`, on: { click: remove } }))),
      pictures, hint, bar, film.element,
      h('div', { class: 'row tight' },
        h('label', { class: 'button plain small', for: `files-${c.id}` }, 'Add pictures', h('span', { class: 'visually-hidden', text: ` to ${c.name}` })), files,
        h('label', { class: 'button plain small', for: `folder-${c.id}` }, 'Add a folder', h('span', { class: 'visually-hidden', text: ` to ${c.name}` })), folder,
        film.button));
    takesDrops(element, async e => addTo(c.id, await dropped(e)));
    takesDrops(element, () => grid.moveDragged(c.id), { accepts: () => grid.dragging() });

    async function rename(e) {
      const answer = await ask({ title: 'Rename the class', fields: [{ name: 'name', label: 'Name', value: current.name }], yes: 'Rename' });
      if (answer) await busy(e.target, async () => { await api.renameClass(id, c.id, answer.name); await shared.changed(); });
    }

    async function remove(e) {
      const sure = current.pictures === 0 || await ask({
        title: `Delete the class “${current.name}”?`, text: `Its ${count(current.pictures, 'picture')} ${current.pictures === 1 ? 'goes' : 'go'} with it.`, yes: 'Delete it', danger: true,
      });
      if (sure) await busy(e.target, async () => { await api.deleteClass(id, c.id); await shared.changed(); say(`Class ${current.name} is deleted.`); name.focus(); });
    }

    return {
      element,
      name: () => current.name,
      close: film.close,
      progress: (done, of) => {
        bar.hidden = !of;
        if (of) { bar.max = of; bar.value = done; }
      },
      render: (c, mine) => {
        current = c;
        title.textContent = c.name;
        number.textContent = count(c.pictures, 'picture');
        hint.hidden = mine.length > 0;
        grid.fill(pictures, mine);
      },
    };
  }

  return {
    element,
    add: addTo,
    // current is the class that has the focus or is under the pointer.
    current: () => Number((document.activeElement.closest('[data-class]') ?? element.querySelector('[data-class]:hover'))?.dataset.class) || undefined,
    render: () => {
      const classes = shared.project.classes ?? [];
      welcome.hidden = classes.length > 0;
      for (const [c, old] of cards) {
        if (classes.some(d => d.id === c)) continue;
        old.close();
        old.element.remove();
        cards.delete(c);
      }
      for (const c of classes) {
        if (!cards.has(c.id)) {
          cards.set(c.id, card(c));
          list.append(cards.get(c.id).element);
        }
        cards.get(c.id).render(c, shared.pictures.filter(p => p.class === c.id));
      }
      grid.settle();
    },
    close: () => { for (const c of cards.values()) c.close(); grid.close(); },
  };
}

// Small helpers round the DOM.

// h makes an element. Properties: class, text, on: {event: f}, style: {property: value}; the rest are attributes, of which
// true is an empty one, and false, null and undefined are none.
export function h(tag, properties = {}, ...children) {
  const svg = svgTags.has(tag);
  const e = svg ? document.createElementNS('http://www.w3.org/2000/svg', tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name === 'class') e.setAttribute('class', value);
    else if (name === 'text') e.textContent = value;
    else if (name === 'on') for (const [event, f] of Object.entries(value)) e.addEventListener(event, f);
    else if (name === 'style') for (const [p, v] of Object.entries(value)) e.style.setProperty(p, v);
    else e.setAttribute(name, value === true ? '' : value);
  }
  e.append(...children.flat().filter(c => c !== null && c !== undefined && c !== false));
  return e;
}
const svgTags = new Set(['svg', 'path', 'polyline', 'line', 'rect', 'circle', 'g']);

export const put = (parent, ...children) => {
  parent.replaceChildren(...children.flat().filter(c => c !== null && c !== undefined && c !== false));
  return parent;
};

export const percent = x => `${Math.round(100 * x)} %`;
export const count = (n, one, many = one + 's') => `${n.toLocaleString('en')} ${n === 1 ? one : many}`;

// duration says seconds as people do.
export function duration(seconds) {
  if (seconds < 1) return 'a moment';
  if (seconds < 90) return count(Math.round(seconds), 'second');
  if (seconds < 5400) return count(Math.round(seconds / 60), 'minute');
  return `${(seconds / 3600).toFixed(1)} hours`;
}

// say shows a message for a while, and has screen readers read it when they are done with what they read.
let fading;
export function say(text) {
  const status = document.getElementById('status');
  status.textContent = text;
  status.classList.add('shown');
  clearTimeout(fading);
  fading = setTimeout(() => status.classList.remove('shown'), 5000);
}

// complain shows an error until it is dismissed or another one comes.
export function complain(error) {
  if (error?.name === 'AbortError') return;
  const text = sentence(error?.message ?? String(error));
  put(document.getElementById('alert'), h('div', { class: 'alert' }, h('p', { text }),
    h('button', { type: 'button', class: 'quiet', 'aria-label': 'Dismiss', text: '✕', on: { click: calm } })));
}
export const calm = () => put(document.getElementById('alert'));

export function sentence(text) {
  const t = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(t) ? t : t + '.';
}

// ask shows a dialog with a form and returns its data, or null if it is left.
export function ask({ title, text, fields = [], yes = 'OK', danger = false }) {
  return new Promise(resolve => {
    const inputs = fields.map(f => h('input', { name: f.name, value: f.value ?? '', type: f.type ?? 'text', required: true, maxlength: f.type === 'password' ? null : 120, autocomplete: 'off' }));
    const dialog = h('dialog', { 'aria-labelledby': 'ask-title' },
      h('form', { method: 'dialog' },
        h('h2', { id: 'ask-title', text: title }),
        text && h('p', { text }),
        fields.map((f, i) => h('label', { class: 'field' }, h('span', { text: f.label }), inputs[i])),
        h('div', { class: 'row end' },
          h('button', { type: 'button', class: 'plain', text: 'Cancel', on: { click: () => dialog.close() } }),
          h('button', { value: 'yes', class: danger ? 'danger' : 'primary', text: yes }))));
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'yes' ? Object.fromEntries(inputs.map(i => [i.name, i.value])) : null);
    });
    document.body.append(dialog);
    dialog.showModal();
    inputs[0]?.select();
  });
}

// busy runs f while a button cannot be pressed, and shows what went wrong.
export async function busy(button, f) {
  button.disabled = true;
  button.setAttribute('aria-busy', 'true');
  try {
    calm();
    return await f();
  } catch (error) {
    complain(error);
  } finally {
    button.disabled = false;
    button.removeAttribute('aria-busy');
  }
}

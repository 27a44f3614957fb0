// Taking the model along: downloads, and keeping it on the server.
import { h, put, busy, say } from './dom.js';
import * as api from './api.js';

export function takePanel(shared) {
  const { id } = shared;
  let kind = 'probe', offered = false;
  const which = h('select', { 'aria-label': 'Which model', on: { change: () => { kind = which.value; } } });
  const zip = h('button', { type: 'button', class: 'plain', text: 'Hugging Face folder (.zip)', on: { click: () => save(zip, 'zip') } });
  const onnx = h('button', { type: 'button', class: 'plain', text: 'ONNX file', on: { click: () => save(onnx, 'onnx') } });
  const name = h('input', { id: 'keep-name', required: true, maxlength: 100, pattern: '[A-Za-z0-9_\\-][A-Za-z0-9._\\-]*', autocomplete: 'off', title: 'Letters, digits, and . _ -' });
  const keep = h('button', { class: 'plain', text: 'Keep' });
  const kept = h('div', { 'aria-live': 'polite' });
  const form = h('form', { on: { submit: e => { e.preventDefault(); busy(keep, keepIt); } } },
    h('label', { for: 'keep-name', text: 'Keep it on this server as' }), h('div', { class: 'row' }, name, keep), kept);
  const element = h('section', { class: 'card take', 'aria-labelledby': 'take-title', hidden: true },
    h('div', { class: 'card-head' }, h('h2', { id: 'take-title', text: 'Take it with you' }), which),
    h('div', { class: 'row wrap' }, zip, onnx), form);

  const save = (button, format) => busy(button, async () => {
    const file = await api.download(`/v1/projects/${id}/models/${kind}/${format}`);
    say(`${file} is downloaded.`);
  });

  async function keepIt() {
    const k = await api.keep(id, kind, name.value);
    say(`The server has it as ${k.name}.`);
    put(kept, h('p', { class: 'small', text: 'It answers requests now, and after a restart:' }),
      h('pre', { tabindex: 0, 'aria-label': 'Command' }, h('code', { text: `curl -T picture.jpg ${location.origin}/v1/models/${k.name}/classify` })));
  }

  return {
    element,
    render: () => {
      const kinds = (shared.project.models ?? []).map(m => m.kind);
      element.hidden = !kinds.length;
      put(which, kinds.map(k => h('option', { value: k, text: { probe: 'Instant model', finetune: 'Fine-tuned model' }[k] })));
      if (!kinds.includes(kind)) kind = kinds[0] ?? 'probe';
      which.value = kind;
      which.hidden = kinds.length < 2;
      if (!offered) {
        offered = true;
        name.value = shared.project.name.normalize('NFKD').toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '') || 'my-model';
      }
    },
  };
}

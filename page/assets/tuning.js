// Fine-tuning: started, watched, stopped and resumed.
import { h, put, percent, count, duration, complain, busy, say, ask, sentence } from './dom.js';
import { curve } from './curve.js';
import { confusion } from './train.js';
import * as api from './api.js';

const lengths = [[50, 'Short, 50 steps'], [100, 'Usual, 100 steps'], [250, 'Long, 250 steps'], [500, 'As in the paper, 500 steps']];

export function tuningPanel(shared) {
  const { id } = shared;
  let training, points = [], watching, following = false; // following: what is watched is newer than the project that was read
  const steps = h('select', { id: 'steps' }, lengths.map(([n, text]) => h('option', { value: n, text })));
  steps.value = '100';
  const mirror = h('input', { type: 'checkbox', id: 'mirror', checked: true });
  const start = h('button', { type: 'button', class: 'plain', text: 'Fine-tune', on: { click: () => busy(start, begin) } });
  const body = h('div');
  const offer = h('div', { class: 'offer' },
    h('p', { class: 'soft', text: 'Trains all of the network for a minute or more. Often better, above all when the pictures are unlike photographs.' }),
    h('div', { class: 'row wrap' }, h('label', { class: 'inline' }, h('span', { class: 'visually-hidden', text: 'Length' }), steps), start),
    h('label', { class: 'check small' }, mirror, 'A mirrored picture shows the same (not so for text)'));
  const progress = h('div', { class: 'progress' });
  const element = h('section', { class: 'card tuning', 'aria-labelledby': 'tuning-title' },
    h('div', { class: 'card-head' }, h('h2', { id: 'tuning-title', text: 'Fine-tuned model' })), body);
  // The parts of the progress stay the same elements, so that what is being read or has the focus is not replaced.
  const bar = h('progress', { 'aria-label': 'Training' });
  const line = h('p', { class: 'soft small tabular' });
  const chart = curve();
  const stop = h('button', { type: 'button', class: 'plain', text: 'Stop', on: { click: () => busy(stop, async () => { show(await api.stopTraining(id, training.id)); await shared.refresh(); }) } });
  const resume = h('button', { type: 'button', class: 'primary', text: 'Resume', on: { click: () => busy(resume, async () => { show(await api.resumeTraining(id, training.id)); watch(); }) } });
  const discard = h('button', { type: 'button', class: 'quiet', text: 'Discard', on: { click: () => busy(discard, drop) } });
  put(progress, bar, line, chart.element, h('div', { class: 'row tight' }, stop, resume, discard));

  async function begin() {
    points = [];
    following = true;
    show(await api.startTraining(id, { steps: Number(steps.value), no_flip: !mirror.checked }));
    say('Fine-tuning has begun.');
    watch();
  }

  async function drop() {
    const sure = await ask({ title: 'Discard this training?', text: 'What it has learnt so far is lost.', yes: 'Discard it', danger: true });
    if (!sure) return;
    watching?.abort();
    following = false;
    await api.discardTraining(id, training.id);
    training = undefined;
    points = [];
    await shared.refresh();
  }

  // watch follows the training that is under way.
  async function watch() {
    training ??= shared.project?.training;
    if (!training) return;
    watching?.abort();
    watching = new AbortController();
    const { signal } = watching;
    points = [];
    const before = training.state;
    following = true;
    try {
      await api.watch(id, training.id, show, signal);
      if (signal.aborted) return;
      await shared.refresh();
      if (signal.aborted) return;
      following = false;
      render();
      if (training?.state === 'done' && before !== 'done') say('Fine-tuning is done.');
    } catch (error) {
      if (signal.aborted) return;
      following = false;
      if (error.status !== 404) complain(error);
    }
  }

  // show takes a training as it is now; its curve has what is new.
  function show(t) {
    training = t;
    for (const p of t.curve ?? []) {
      while (points.length && points.at(-1).step >= p.step) points.pop();
      points.push(p);
    }
    render();
  }

  function render() {
    const ready = (shared.project?.classes ?? []).filter(c => c.pictures > 0).length >= 2;
    const newest = shared.project?.training;
    if (newest && (!training || newest.id > training.id || !following)) training = newest;
    const state = training?.state, open = ['waiting', 'running', 'paused'].includes(state);
    const model = shared.project?.models?.find(m => m.kind === 'finetune');
    element.hidden = !ready && !training;
    start.disabled = !ready;
    if (training) {
      bar.max = training.steps;
      bar.value = training.step;
      line.textContent = says(training);
      chart.draw(points, training.steps);
      chart.element.hidden = points.length < 2;
      stop.hidden = state !== 'running' && state !== 'waiting';
      resume.hidden = state !== 'paused';
      discard.hidden = state !== 'paused';
      bar.hidden = !open;
    }
    const parts = [];
    if (!open) parts.push(offer);
    if (state === 'failed') parts.push(h('p', { class: 'bad', text: sentence(training.why) }));
    if (model && !open) {
      parts.push(model.judged
        ? h('div', { class: 'score' }, h('p', { class: 'big', id: 'tuned-accuracy', text: percent(model.accuracy) }),
          h('p', { class: 'soft', text: `right on ${count(model.judged, 'picture')} that were held out` }))
        : h('p', { class: 'soft', text: 'Trained. From five pictures in every class on, some are held out to say how good it is.' }),
      model.judged > 0 && h('details', {}, h('summary', { text: 'What is taken for what' }), confusion(model)),
      model.revision !== shared.project.revision && h('p', { class: 'soft small', text: 'Your pictures have changed since: it does not know that.' }));
    }
    if (training && (open || state === 'done' && points.length > 1)) parts.push(progress);
    // Replacing what has not changed would move the focus.
    const key = JSON.stringify([open, state, ready, model?.trained, model?.revision === shared.project?.revision, points.length > 1]);
    if (body.dataset.key !== key) {
      body.dataset.key = key;
      const focused = document.activeElement;
      put(body, parts.filter(Boolean));
      if (focused !== document.activeElement && body.contains(focused)) focused.focus();
    }
  }

  return { element, render, watch, close: () => watching?.abort() };
}

// says puts a training's state in a line.
function says(t) {
  const at = `step ${t.step} of ${t.steps}`;
  switch (t.state) {
    case 'waiting': return 'Waiting for another training to end.';
    case 'running': return t.speed ? `${sentence(at).slice(0, -1)}, about ${duration(t.remaining)} left, ${Math.round(t.speed)} pictures a second` : 'It begins…';
    case 'paused': return `Paused at ${at}. Nothing is lost. ${t.why ?? ''}`;
    case 'done': return `Done: ${count(t.steps, 'step')} on ${count(t.images, 'picture')}.`;
    default: return '';
  }
}

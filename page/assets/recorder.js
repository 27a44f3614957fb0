// Filming pictures of a class: the camera opens in the class, and takes pictures as long as a button is held.
import { h, complain, calm, count, say } from './dom.js';
import * as camera from './camera.js';

const every = 150; // ms from a picture to the next

export function recorder(name, add, changed) {
  let stop, holding = false, taken = 0;
  const video = h('video', { muted: true, playsinline: true, 'aria-label': 'The camera' });
  const button = h('button', { type: 'button', class: 'plain small', text: 'Camera', on: { click: () => stop ? close() : open() } });
  const hold = h('button', { type: 'button', class: 'primary hold', text: 'Hold to take pictures' });
  const element = h('div', { class: 'recorder', hidden: true }, video, hold);

  // Held by pointer, or by the space bar or Enter while it has the focus.
  hold.addEventListener('pointerdown', e => { hold.setPointerCapture(e.pointerId); begin(); });
  for (const event of ['pointerup', 'pointercancel', 'blur']) hold.addEventListener(event, end);
  hold.addEventListener('keydown', e => { if ((e.key === ' ' || e.key === 'Enter') && !e.repeat) { e.preventDefault(); begin(); } });
  hold.addEventListener('keyup', e => { if (e.key === ' ' || e.key === 'Enter') end(); });

  async function begin() {
    if (holding || !stop) return;
    holding = true;
    taken = 0;
    calm();
    try {
      do {
        await add(await camera.grab(video));
        hold.textContent = `${++taken} taken…`;
        await new Promise(resolve => setTimeout(resolve, every));
      } while (holding);
    } catch (error) {
      holding = false;
      complain(error);
    }
    hold.textContent = 'Hold to take pictures';
    if (taken) {
      say(`${count(taken, 'picture')} of ${name()} taken.`);
      await changed();
    }
  }

  function end() { holding = false; }

  async function open() {
    try {
      calm();
      element.hidden = false;
      stop = await camera.open(video);
      button.textContent = 'Close the camera';
      hold.focus();
    } catch (error) {
      close();
      complain(error);
    }
  }

  function close() {
    end();
    stop?.();
    stop = undefined;
    element.hidden = true;
    button.textContent = 'Camera';
  }

  return { element, button, close };
}

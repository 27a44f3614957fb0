// The server's interface, as /openapi.json describes it.
import { ask } from './dom.js';

const tokenKey = 'bit.token';
let token = sessionStorage.getItem(tokenKey) ?? '';

export class ServerError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// send sends a request and returns the response. It asks for the server's token if that wants one.
async function send(method, path, body, { type, signal } = {}) {
  for (;;) {
    const headers = {};
    if (token) headers.Authorization = `Bearer ${token}`;
    if (type) headers['Content-Type'] = type;
    let response;
    try {
      response = await fetch(path, { method, body, headers, signal });
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      throw new ServerError(0, 'the server cannot be reached: is it still running?');
    }
    if (response.ok) return response;
    if (response.status === 401 && await wantToken()) continue;
    let message = `the server answered ${response.status}`;
    try { message = (await response.json()).error; } catch { /* no JSON: the status must do */ }
    throw new ServerError(response.status, message);
  }
}

// wantToken asks for the token, once for all requests that wait for it.
let asking;
function wantToken() {
  asking ??= ask({
    title: 'This server wants its token', text: 'It is kept until this tab is closed.',
    fields: [{ name: 'token', label: 'Token', type: 'password' }], yes: 'Use it',
  }).then(answer => {
    asking = undefined;
    if (!answer) return false;
    token = answer.token.trim();
    sessionStorage.setItem(tokenKey, token);
    return true;
  });
  return asking;
}

const json = async (method, path, value, options) =>
  (await send(method, path, value === undefined ? undefined : JSON.stringify(value), { type: value === undefined ? undefined : 'application/json', ...options })).json();
const picture = async (path, file, options) => (await send('POST', path, file, { type: 'application/octet-stream', ...options })).json();
const q = encodeURIComponent;

export const models = () => json('GET', '/v1/models');
export const explain = (model, file, options, name) =>
  picture(`/v1/models/${q(model)}/explain` + (name ? `?class=${q(name)}` : ''), file, options);

export const projects = () => json('GET', '/v1/projects');
export const createProject = name => json('POST', '/v1/projects', { name });
export const project = id => json('GET', `/v1/projects/${id}`);
export const changeProject = (id, settings) => json('PATCH', `/v1/projects/${id}`, settings);
export const deleteProject = id => json('DELETE', `/v1/projects/${id}`);

export const addClass = (id, name) => json('POST', `/v1/projects/${id}/classes`, { name });
export const renameClass = (id, c, name) => json('PATCH', `/v1/projects/${id}/classes/${c}`, { name });
export const deleteClass = (id, c) => json('DELETE', `/v1/projects/${id}/classes/${c}`);

export const pictures = id => json('GET', `/v1/projects/${id}/pictures`);
export const addPicture = (id, c, file, name) => picture(`/v1/projects/${id}/classes/${c}/pictures?name=${q(name)}`, file);
export const movePictures = (id, list, c) => json('PATCH', `/v1/projects/${id}/pictures`, { pictures: list, class: c });
export async function removePictures(id, list) {
  const some = 1000; // what an address can bear
  for (let i = 0; i < list.length; i += some) {
    await json('DELETE', `/v1/projects/${id}/pictures?${list.slice(i, i + some).map(p => `picture=${p}`).join('&')}`);
  }
}
export const blob = async (path, options) => (await send('GET', path, undefined, options)).blob();
export const thumbnail = (id, p) => `/v1/projects/${id}/pictures/${p}/thumbnail`;
export const original = (id, p) => `/v1/projects/${id}/pictures/${p}`;

export const probe = (id, options) => json('POST', `/v1/projects/${id}/probe`, undefined, options);
export const startTraining = (id, settings) => json('POST', `/v1/projects/${id}/trainings`, settings);
export const stopTraining = (id, n) => json('POST', `/v1/projects/${id}/trainings/${n}/stop`);
export const resumeTraining = (id, n) => json('POST', `/v1/projects/${id}/trainings/${n}/resume`);
export const discardTraining = (id, n) => json('DELETE', `/v1/projects/${id}/trainings/${n}`);
export const classify = (id, kind, file, options) => picture(`/v1/projects/${id}/classify?model=${kind}`, file, options);
export const keep = (id, kind, name) => json('POST', `/v1/projects/${id}/models/${kind}/keep`, { name });

// watch calls f with a training whenever it changes, until it ends or is paused. An EventSource could not send the token.
export async function watch(id, n, f, signal) {
  let from = 0;
  for (;;) {
    try {
      const response = await send('GET', `/v1/projects/${id}/trainings/${n}/events?from=${from}`, undefined, { signal });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let text = ''; ;) {
        const { value, done } = await reader.read();
        if (done) return;
        text += value;
        for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
          const data = text.slice(0, end).split('\n').find(line => line.startsWith('data: '));
          if (!data) continue;
          const training = JSON.parse(data.slice(6));
          from = training.curve?.at(-1)?.step ?? from;
          f(training);
        }
      }
    } catch (error) {
      if (error.name === 'AbortError' || error.status >= 400) throw error;
      await new Promise(resolve => setTimeout(resolve, 1500)); // the connection broke: the training goes on without it
      if (signal.aborted) return;
    }
  }
}

// download saves what is at a path as a file, under the name that the server gives it.
export async function download(path) {
  const response = await send('GET', path);
  const name = /filename="?([^";]+)"?/.exec(response.headers.get('Content-Disposition') ?? '')?.[1] ?? 'model';
  const url = URL.createObjectURL(await response.blob());
  const a = document.createElement('a');
  a.href = url;
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  return name;
}

// Connects the controls of the page with the viewer, the tools and the photo that is open.

import * as api from './api.js';
import { HELP, listenForKeys } from './keys.js';
import { newId } from './outbox.js';
import { PhotoList } from './photos.js';
import { listen } from './pointer.js';
import { Session } from './session.js';
import { Tools } from './tools.js';
import { Viewer } from './viewer.js';

const $ = (id) => document.getElementById(id);
const radios = (name) => [...document.querySelectorAll(`input[name="${name}"]`)];

let session = null;
let announced = '';

const viewer = new Viewer($('stage'), { picture: $('picture'), mask: $('mask'), marks: $('marks') });
const tools = new Tools(viewer, {
  diameter,
  erases: () => $('erase').checked,
  pending: () => session?.shapes.map(({ edit }) => edit) ?? [],
  finished: (edit) => {
    fail(null);
    if (edit.kind === 'object') findObject(edit);
    else session?.add(edit);
  },
});
const list = new PhotoList({ opened: openPhoto, failed: fail, listed: showModels });

// --- the photo -------------------------------------------------------------------------------

async function openPhoto(id) {
  const started = performance.now();
  session?.close();
  tools.cancel();
  fail(null);
  const opened = session = new Session(id, viewer, { changed: showState, failed: fail });
  viewer.drawn = () => {
    performance.measure('open-photo', { start: started, end: performance.now() });
    viewer.drawn = () => {};
  };
  list.mark(id);
  history.replaceState(null, '', `#${id}`);
  viewer.close();
  $('empty').textContent = 'Opening…';
  $('empty').hidden = false;
  try {
    await opened.open();
    if (opened !== session) return;
    $('empty').hidden = true;
    showSize();
    $('stage').focus({ preventScroll: true });
  } catch (problem) {
    $('empty').textContent = 'This photo cannot be opened.';
    fail(problem);
  }
}

function showState({ state }) {
  const { lastFill } = session;
  const working = state.working;
  const isCurrent = state.saved?.picture === state.picture;
  $('photo-facts').textContent = facts(state);
  $('undo').disabled = state.done === 0;
  $('redo').disabled = state.done === state.edits.length;
  $('fill').disabled = $('harmonize').disabled = !state.has_mask;
  $('cancel').disabled = !working;
  for (const id of ['save', 'download', 'copy']) $(id).disabled = working || (id !== 'download' && !lastFill);
  $('forget').hidden = !state.upload;
  if (!state.target) $('save').disabled = true;
  $('progress').hidden = !working;
  $('progress').value = state.progress?.share ?? 0;
  if (isCurrent) $('target').textContent = `Saved as ${state.saved.path}`;
  else if (state.target) $('target').textContent = `Saves as ${state.target}`;
  else $('target').textContent = 'A photo that was dropped in is downloaded.';
  announce(statusText(state, lastFill));
  showTries(lastFill, working);
  if (state.problem) fail(new api.Problem(state.problem.message, state.problem.hint));
  list.setStatus(session.id, isCurrent ? 'saved' : state.done ? 'edited' : 'new');
}

function facts(state) {
  const parts = [`${state.width} × ${state.height}`, state.format, `${state.depth} bit`];
  if (state.alpha) parts.push('alpha');
  return `${state.name}: ${parts.join(', ')}`;
}

function statusText(state, lastFill) {
  if (state.working) return `${state.progress?.text ?? 'Waiting'}…`;
  if (state.has_mask) return 'Ready to fill.';
  return { fill: 'Filled.', harmonize: 'Harmonized.' }[lastFill?.kind] ?? '';
}

function announce(text) {
  if (text !== announced) $('status').textContent = text;
  announced = text;
}

function showTries(fill, working) {
  $('tries').hidden = fill?.kind !== 'fill' || !fill.ready.length;
  if (!fill) return;
  $('another').disabled = working;
  const options = fill.seeds.map((seed, number) => {
    const option = new Option(`${number + 1} of ${fill.seeds.length}`, seed);
    option.disabled = !fill.ready.includes(seed);
    return option;
  });
  if ($('seed').dataset.shown === JSON.stringify([fill.id, fill.seeds, fill.ready, fill.chosen])) return;
  $('seed').dataset.shown = JSON.stringify([fill.id, fill.seeds, fill.ready, fill.chosen]);
  $('seed').replaceChildren(...options);
  $('seed').value = fill.chosen;
}

function showModels(models) {
  const chosen = $('model').value;
  $('model').replaceChildren(...models.map((name) => new Option(name)));
  if (models.includes(chosen)) $('model').value = chosen;
}

function fail(problem) {
  $('message').textContent = problem ? problem.message : '';
}

// --- actions ---------------------------------------------------------------------------------

const ready = () => session?.state;

function fill() {
  if (!ready()?.has_mask && !session?.shapes.length) return;
  fail(null);
  const model = $('model').selectedIndex > 0 ? $('model').value : null;
  const grow = Math.max(0, Math.min(1000, Math.round(Number($('grow').value) || 0)));
  session.change('fill', { model, grow, detail: $('detail').value, seed: 0 });
  viewer.loadBefore();
}

function harmonize() {
  if (!ready()?.has_mask) return;
  fail(null);
  const amount = Math.max(1, Math.min(100, Math.round(Number($('harmony').value) || 100)));
  session.change('harmonize', { amount });
  viewer.loadBefore();
}

function another() {
  const last = ready() && session.lastFill;
  if (last?.kind !== 'fill' || !last.ready.length || ready().working) return;
  const seed = Math.max(...last.seeds) + 1;
  session.ask(() => api.trySeed(session.id, last.id, seed));
}

async function findObject({ id, point, box }) {
  $('stage').setAttribute('aria-busy', 'true');
  announce('Looking for the object…');
  const found = await session.ask(() => api.findObject(session.id, { id, point, box }));
  $('stage').removeAttribute('aria-busy');
  if (!found) showState(session);
}

async function save() {
  if (!ready() || $('save').disabled) return;
  fail(null);
  await session.outbox.send();
  try {
    session.take(await api.save(session.id, false));
  } catch (problem) {
    if (!problem.fields?.exists) fail(problem);
    else if (await isConfirmed('Replace', problem.fields.message)) session.ask(() => api.save(session.id, true));
  }
}

function isConfirmed(action, text) {
  $('question-title').textContent = `${action}?`;
  $('question-yes').textContent = action;
  $('question-text').textContent = text;
  $('question').returnValue = 'no';
  $('question').showModal();
  return new Promise((resolve) => {
    $('question').addEventListener('close', () => resolve($('question').returnValue === 'yes'), { once: true });
  });
}

async function forget() {
  const { id, state } = session;
  if (!await isConfirmed('Remove', `${state.name} and its edits leave this program. Your own file stays.`)) return;
  try {
    await api.forget(id);
  } catch (problem) {
    fail(problem);
    return;
  }
  session.close();
  session = null;
  viewer.close();
  const [next] = await list.load();
  if (next) openPhoto(next.id);
  else location.replace(location.pathname);
}

async function copyCommand() {
  const text = await api.command(session.id).catch(fail);
  if (!text) return;
  $('command-text').value = text;
  $('command-dialog').showModal();
  $('command-text').select();
  await navigator.clipboard?.writeText(text).catch(() => {});
}

function importMask([file]) {
  if (file && ready()) session.ask(() => api.importMask(session.id, newId(), file));
  $('mask-file').value = '';
}

const nameWith = (ending) => session.state.name.replace(/(\.[^.]*)?$/, ending);

function changeMask(kind, fields) {
  if (ready()) session.change(kind, fields);
}

function amount() {
  return { pixels: Math.max(1, Math.min(1000, Math.round(Number($('amount').value) || 1))) };
}

function chooseTool(name) {
  const radio = radios('tool').find(({ value }) => value === name);
  if (!radio) return;
  radio.checked = true;
  if (viewer.mode !== 'edit') setView('edit');
  tools.choose(name);
  $('stage').classList.toggle('moving', name === 'hand');
}

function setView(mode) {
  radios('view').find(({ value }) => value === mode).checked = true;
  tools.cancel();
  if (mode === 'compare' || mode === 'before') viewer.loadBefore();
  viewer.setMode(mode);
  $('mask').classList.toggle('alone', mode === 'mask');
  $('divider').classList.toggle('hidden-box', mode !== 'compare');
  moveDivider(viewer.divider);
}

function hold(held) {
  if (!ready()) return;
  if (held && !viewer.held) viewer.loadBefore();
  viewer.hold(held);
}

// --- sizes -----------------------------------------------------------------------------------

function diameter() {
  const most = viewer.photo ? Math.max(64, Math.max(viewer.photo.width, viewer.photo.height) / 3) : 400;
  return most ** (Number($('size').value) / 100);
}

function showSize() {
  $('size-shown').textContent = `${Math.max(1, Math.round(diameter()))} px`;
  viewer.redraw();
}

function resize(steps) {
  $('size').value = Number($('size').value) + 3 * steps;
  showSize();
}

function moveDivider(share) {
  viewer.divider = Math.max(0, Math.min(1, share));
  $('divider').style.left = `${viewer.divider * 100}%`;
  $('divider').setAttribute('aria-valuenow', Math.round(viewer.divider * 100));
  viewer.redraw();
}

// --- controls --------------------------------------------------------------------------------

const clicks = {
  undo: () => ready() && session.undo(),
  redo: () => ready() && session.redo(),
  'zoom-in': () => viewer.zoomTo(viewer.scale * 1.25),
  'zoom-out': () => viewer.zoomTo(viewer.scale * 0.8),
  fit: () => viewer.fit(),
  'full-size': () => viewer.zoomTo(1 / devicePixelRatio),
  enclose: () => changeMask('enclose'),
  invert: () => changeMask('invert'),
  clear: () => changeMask('clear'),
  'grow-mask': () => changeMask('grow', amount()),
  'shrink-mask': () => changeMask('shrink', amount()),
  'export-mask': () => ready() && session.ask(() => api.download(session.id, 'mask.png', nameWith('.mask.png'))),
  fill,
  harmonize,
  cancel: () => ready() && session.ask(() => api.cancelFills(session.id)),
  another,
  save,
  download: () => ready() && session.ask(() => api.download(session.id, 'result', nameWith('.filled$1').replace('$1', suffix()))),
  copy: copyCommand,
  forget,
  help: () => $('help-dialog').showModal(),
  'toggle-photos': togglePhotos,
};

const suffix = () => session.state.name.match(/\.[^.]*$/)?.[0] ?? '';

for (const [id, action] of Object.entries(clicks)) $(id).addEventListener('click', action);
for (const radio of radios('tool')) radio.addEventListener('change', () => chooseTool(radio.value));
for (const radio of radios('view')) radio.addEventListener('change', () => setView(radio.value));
$('size').addEventListener('input', showSize);
$('mask-file').addEventListener('change', () => importMask([...$('mask-file').files]));
$('seed').addEventListener('change', () => {
  session.ask(() => api.trySeed(session.id, session.lastFill.id, Number($('seed').value)));
});
for (const [key, text] of HELP) {
  const term = document.createElement('dt');
  const meaning = document.createElement('dd');
  term.textContent = key;
  meaning.textContent = text;
  $('keys').append(term, meaning);
}

function togglePhotos() {
  const hidden = document.body.classList.toggle('no-photos');
  $('toggle-photos').setAttribute('aria-expanded', String(!hidden));
}

$('divider').addEventListener('pointerdown', (event) => {
  event.stopPropagation();
  $('divider').setPointerCapture(event.pointerId);
});
$('divider').addEventListener('pointermove', (event) => {
  if (!$('divider').hasPointerCapture(event.pointerId)) return;
  const box = $('stage').getBoundingClientRect();
  moveDivider((event.clientX - box.left) / box.width);
});
$('divider').addEventListener('keydown', (event) => {
  const step = { ArrowLeft: -0.02, ArrowRight: 0.02 }[event.key];
  if (step) moveDivider(viewer.divider + step);
});

viewer.moved = () => { $('zoom').textContent = `${Math.round(viewer.scale * devicePixelRatio * 100)} %`; };
listen($('stage'), viewer, tools, { resize });
listenForKeys({
  tool: chooseTool,
  resize,
  fill,
  another,
  save,
  hold,
  invert: clicks.invert,
  clear: clicks.clear,
  undo: clicks.undo,
  redo: clicks.redo,
  zoom: (factor) => viewer.zoomTo(viewer.scale * factor),
  fit: clicks.fit,
  fullSize: clicks['full-size'],
  help: clicks.help,
  escape: () => {
    if (tools.isDrawing) tools.cancel();
    else if (ready()?.working) clicks.cancel();
  },
});

if (innerWidth <= 800) togglePhotos();
list.load().then((photos) => {
  const wanted = location.hash.slice(1);
  const photo = photos.find(({ id }) => id === wanted) ?? photos[0];
  if (photo) openPhoto(photo.id);
}).catch(fail);

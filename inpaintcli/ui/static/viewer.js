// The photo on the screen: a preview of the whole, and the visible part at full size where it is
// zoomed in. Coordinates of the photo are in its pixels, those of the screen in CSS pixels.

import * as api from './api.js';

const PREVIEW = 2048;
const DETAIL_AFTER_MS = 120;
const MARGIN = 0.15;
const MAX_SCALE = 64;

// One layer: the preview and the detail that are shown, and the requests for newer ones.
class Layer {
  constructor(name, changed) {
    this.name = name;
    this.changed = changed;
    this.reset(null);
  }

  reset(photo) {
    this.photo = photo;
    this.version = null;
    this.preview = null;
    this.detail = null;
    this.previewRequest?.abort();
    this.detailRequest?.abort();
  }

  // Resolves to whether that version is shown now.
  async show(version) {
    if (!this.photo || (version === this.version && this.preview)) return true;
    this.version = version;
    this.previewRequest?.abort();
    this.detailRequest?.abort();
    const request = this.previewRequest = new AbortController();
    const { id, width, height } = this.photo;
    const scale = Math.min(1, PREVIEW / Math.max(width, height));
    const size = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
    const bitmap = await loaded(id, this.name, version, [0, 0, width, height], size, request.signal);
    if (!bitmap || request.signal.aborted) return false;
    this.preview = bitmap;
    this.scale = scale;
    if (this.detail?.version !== version) this.detail = null;
    this.changed();
    return true;
  }

  async showDetail(box, scale) {
    if (!this.preview || this.scale >= 1 || scale <= this.scale * 1.1) {
      this.detail = null;
      return;
    }
    const shown = this.detail;
    const version = this.version;
    const wanted = Math.min(1, scale);
    if (shown && shown.version === version && contains(shown.box, box) && shown.scale >= wanted * 0.9) return;
    this.detailRequest?.abort();
    const request = this.detailRequest = new AbortController();
    const wide = widened(box, this.photo);
    const size = [2, 3].map((side) => Math.max(1, Math.min(4096, Math.ceil(wide[side] * wanted))));
    const bitmap = await loaded(this.photo.id, this.name, version, wide, size, request.signal);
    if (!bitmap || request.signal.aborted || version !== this.version) return;
    this.detail = { box: wide, bitmap, version, scale: wanted };
    this.changed();
  }

  draw(context) {
    if (!this.preview) return;
    context.drawImage(this.preview, 0, 0, this.photo.width, this.photo.height);
    if (!this.detail) return;
    const [x, y, w, h] = this.detail.box;
    context.clearRect(x, y, w, h);
    context.drawImage(this.detail.bitmap, x, y, w, h);
  }
}

async function loaded(...request) {
  try {
    return await api.view(...request);
  } catch {
    return null; // overtaken by a newer one, or the server is gone, which others report
  }
}

const contains = (outer, inner) => outer[0] <= inner[0] && outer[1] <= inner[1]
  && outer[0] + outer[2] >= inner[0] + inner[2] && outer[1] + outer[3] >= inner[1] + inner[3];

function widened([x, y, w, h], { width, height }) {
  const left = Math.max(0, Math.floor(x - w * MARGIN));
  const top = Math.max(0, Math.floor(y - h * MARGIN));
  const right = Math.min(width, Math.ceil(x + w * (1 + MARGIN)));
  const bottom = Math.min(height, Math.ceil(y + h * (1 + MARGIN)));
  return [left, top, right - left, bottom - top];
}

export class Viewer {
  constructor(stage, canvases) {
    this.stage = stage;
    this.contexts = Object.fromEntries(
      Object.entries(canvases).map(([name, canvas]) => [name, canvas.getContext('2d')]),
    );
    this.photo = null;
    this.mode = 'edit';
    this.held = false; // "before" while a key is held
    this.divider = 0.5;
    this.scale = 1;
    this.left = 0;
    this.top = 0;
    this.drawShapes = () => {};
    this.drawMarks = () => {};
    this.moved = () => {};
    this.drawn = () => {};
    const changed = () => this.redraw();
    this.layers = Object.fromEntries(
      ['before', 'after', 'mask'].map((name) => [name, new Layer(name, changed)]),
    );
    new ResizeObserver(() => this.resize()).observe(stage);
  }

  open(photo) {
    this.photo = photo;
    for (const layer of Object.values(this.layers)) layer.reset(photo);
    this.fit();
  }

  close() {
    this.photo = null;
    for (const layer of Object.values(this.layers)) layer.reset(null);
    this.redraw();
  }

  setMode(mode) {
    this.mode = mode;
    this.redraw();
    this.refineSoon();
  }

  hold(held) {
    if (held === this.held) return;
    this.held = held;
    this.redraw();
  }

  // The versions that the server names. Resolves once the mask of that version is shown.
  show({ picture, mask }) {
    this.layers.after.show(picture).then(() => this.refineSoon());
    const shown = this.layers.mask.show(mask);
    shown.then(() => this.refineSoon());
    if (this.mode !== 'edit' || this.wasCompared) this.loadBefore();
    return shown;
  }

  loadBefore() {
    this.wasCompared = true;
    return this.layers.before.show('original').then(() => this.refineSoon());
  }

  resize() {
    const ratio = devicePixelRatio || 1;
    this.ratio = ratio;
    const { clientWidth: width, clientHeight: height } = this.stage;
    const wasFitted = this.isFitted;
    for (const context of Object.values(this.contexts)) {
      context.canvas.width = Math.max(1, Math.round(width * ratio));
      context.canvas.height = Math.max(1, Math.round(height * ratio));
    }
    if (wasFitted) this.fit();
    else this.changedView();
  }

  fit() {
    if (!this.photo) return;
    const { clientWidth: width, clientHeight: height } = this.stage;
    const room = 24;
    const scale = Math.min((width - room) / this.photo.width, (height - room) / this.photo.height);
    this.scale = Math.max(1e-3, Math.min(scale, 8));
    this.left = (width - this.photo.width * this.scale) / 2;
    this.top = (height - this.photo.height * this.scale) / 2;
    this.changedView();
    this.isFitted = true;
  }

  zoomTo(scale, x = this.stage.clientWidth / 2, y = this.stage.clientHeight / 2) {
    if (!this.photo) return;
    const [photoX, photoY] = this.toPhoto(x, y);
    const least = Math.min(0.01, 64 / Math.max(this.photo.width, this.photo.height));
    this.scale = Math.max(least, Math.min(MAX_SCALE, scale));
    this.left = x - photoX * this.scale;
    this.top = y - photoY * this.scale;
    this.changedView();
  }

  panBy(x, y) {
    this.left += x;
    this.top += y;
    this.changedView();
  }

  toPhoto(x, y) {
    return [(x - this.left) / this.scale, (y - this.top) / this.scale];
  }

  toScreen(x, y) {
    return [x * this.scale + this.left, y * this.scale + this.top];
  }

  changedView() {
    this.isFitted = false;
    this.moved();
    this.redraw();
    this.refineSoon();
  }

  refineSoon() {
    clearTimeout(this.refining);
    this.refining = setTimeout(() => this.refine(), DETAIL_AFTER_MS);
  }

  refine() {
    if (!this.photo) return;
    const { clientWidth, clientHeight } = this.stage;
    const [x0, y0] = this.toPhoto(0, 0);
    const [x1, y1] = this.toPhoto(clientWidth, clientHeight);
    const left = Math.max(0, Math.floor(x0));
    const top = Math.max(0, Math.floor(y0));
    const box = [left, top, Math.min(this.photo.width, Math.ceil(x1)) - left,
      Math.min(this.photo.height, Math.ceil(y1)) - top];
    if (box[2] < 1 || box[3] < 1) return;
    const names = { edit: ['after', 'mask'], compare: ['before', 'after'], mask: ['mask'] };
    for (const name of names[this.mode] || [this.mode]) {
      this.layers[name].showDetail(box, this.scale * this.ratio);
    }
  }

  redraw() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = null;
      this.drawPicture();
      this.drawMask();
      this.drawMarks();
    });
  }

  drawPicture() {
    const context = this.contexts.picture;
    this.clear(context);
    if (!this.photo) return;
    this.transform(context);
    const { width, height } = this.photo;
    context.imageSmoothingEnabled = this.scale * this.ratio < 2;
    if (this.photo.alpha) this.drawChecks(context);
    const { before, after } = this.layers;
    if (this.mode === 'mask' && !this.held) {
      context.fillStyle = '#000';
      context.fillRect(0, 0, width, height);
    } else if (this.held || this.mode === 'before') {
      (before.preview ? before : after).draw(context);
    } else {
      after.draw(context);
      if (this.mode === 'compare') this.drawLeftOf(context, before);
    }
    if (after.preview) this.drawn();
  }

  drawLeftOf(context, layer) {
    const [edge] = this.toPhoto(this.divider * this.stage.clientWidth, 0);
    context.save();
    context.beginPath();
    context.rect(0, 0, Math.max(0, edge), this.photo.height);
    context.clip();
    layer.draw(context);
    context.restore();
  }

  drawChecks(context) {
    const tile = new OffscreenCanvas(16, 16);
    const inTile = tile.getContext('2d');
    inTile.fillStyle = '#bbb';
    inTile.fillRect(0, 0, 16, 16);
    inTile.fillStyle = '#888';
    inTile.fillRect(0, 0, 8, 8);
    inTile.fillRect(8, 8, 8, 8);
    const pattern = context.createPattern(tile, 'repeat');
    pattern.setTransform(new DOMMatrix().scale(1 / (this.scale * this.ratio)));
    context.fillStyle = pattern;
    context.fillRect(0, 0, this.photo.width, this.photo.height);
  }

  drawMask() {
    const context = this.contexts.mask;
    this.clear(context);
    const isShown = !this.held && (this.mode === 'edit' || this.mode === 'mask');
    if (!this.photo || !isShown) return;
    this.transform(context);
    context.imageSmoothingEnabled = this.scale * this.ratio < 2;
    this.onMask(() => {
      this.layers.mask.draw(context);
      this.drawShapes(context);
    });
  }

  // Calls `draw(context)` with photo coordinates, cut off at the photo's edge.
  onMask(draw) {
    const context = this.contexts.mask;
    this.transform(context);
    context.save();
    context.beginPath();
    context.rect(0, 0, this.photo.width, this.photo.height);
    context.clip();
    draw(context);
    context.restore();
  }

  transform(context) {
    const scale = this.scale * this.ratio;
    context.setTransform(scale, 0, 0, scale, this.left * this.ratio, this.top * this.ratio);
  }

  clear(context) {
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, context.canvas.width, context.canvas.height);
  }
}

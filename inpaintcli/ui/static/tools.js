// What the pointer does on the photo. Each tool takes points of the photo, [x, y, pressure], and
// gives an edit when it is lifted; `marks` draws what is not yet in the mask.

import { drawShape, drawStroke } from './shapes.js';
import { newId } from './outbox.js';

const rounded = (value) => Math.round(value * 100) / 100;

class Stroke {
  constructor(host, erase) {
    this.host = host;
    this.erase = erase;
    this.points = [];
  }

  down(point) { this.move([point]); }

  move(points) {
    const from = this.points.length;
    for (const [x, y, pressure] of points) {
      const radius = rounded(Math.max(0.5, (this.host.diameter() / 2) * pressure));
      this.points.push([rounded(x), rounded(y), radius]);
    }
    this.host.viewer.onMask((context) => drawStroke(context, this, from));
  }

  draw(context) { drawStroke(context, this); }

  up() {
    return this.points.length
      ? { id: newId(), kind: 'stroke', points: this.points.slice(0, 20000), erase: this.erase } : null;
  }
}

class Lasso {
  constructor(host, erase) {
    this.host = host;
    this.erase = erase;
    this.points = [];
  }

  down(point) { this.move([point]); }

  move(points) {
    for (const [x, y] of points) this.points.push([rounded(x), rounded(y)]);
    this.host.viewer.redraw();
  }

  marks(line) { line(this.points, true); }

  up() {
    if (this.points.length < 3) return null;
    return { id: newId(), kind: 'polygon', points: this.points.slice(0, 20000), erase: this.erase };
  }
}

// Points are added by clicks; it stays down until it is closed.
class Polygon extends Lasso {
  staysDown = true;

  down([x, y]) {
    const [first] = this.points;
    const near = 10 / this.host.viewer.scale;
    const isClose = ([a, b]) => Math.hypot(a - x, b - y) < near;
    const last = this.points.at(-1);
    this.isDone = this.points.length > 2 && (isClose(first) || isClose(last));
    if (!this.isDone) this.points.push([rounded(x), rounded(y)]);
    this.hover = [x, y];
  }

  move(points) {
    this.hover = points.at(-1);
    this.host.viewer.redraw();
  }

  marks(line) { line([...this.points, this.hover], false); }
}

class Box {
  constructor(host, erase, kind = 'box') {
    Object.assign(this, { host, erase, kind });
  }

  down(point) { this.from = this.to = point; }

  move(points) {
    this.to = points.at(-1);
    this.host.viewer.redraw();
  }

  get box() {
    const [x0, y0] = this.from;
    const [x1, y1] = this.to;
    return [Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0)].map(rounded);
  }

  marks(line) {
    const [x, y, w, h] = this.box;
    line([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], true);
  }

  up() {
    const { box } = this;
    if (box[2] <= 0 || box[3] <= 0) return null;
    return { id: newId(), kind: this.kind, box, erase: this.erase };
  }
}

// A click gives a point of the object, a box one around it.
class ObjectBox extends Box {
  up() {
    const [x, y, w, h] = this.box;
    const isClick = Math.max(w, h) * this.host.viewer.scale < 5;
    const place = isClick ? { point: [x, y] } : { box: [x, y, w, h] };
    return { id: newId(), kind: 'object', ...place };
  }
}

const MAKERS = {
  object: (host) => new ObjectBox(host, false),
  brush: (host, erase) => new Stroke(host, erase),
  eraser: (host) => new Stroke(host, true),
  lasso: (host, erase) => new Lasso(host, erase || host.erases()),
  polygon: (host, erase) => new Polygon(host, erase || host.erases()),
  box: (host, erase) => new Box(host, erase || host.erases()),
};

// The tools of a page: one is active at a time, and what it makes goes to `finished(edit)`.
export class Tools {
  constructor(viewer, options) {
    this.viewer = viewer;
    this.chosen = 'brush';
    this.active = null;
    this.cursor = null;
    Object.assign(this, options); // diameter(), erases(), finished(edit), pending()
    viewer.drawShapes = (context) => {
      for (const edit of this.pending()) drawShape(context, edit);
      this.active?.draw?.(context);
    };
    viewer.drawMarks = () => this.drawMarks();
  }

  choose(name) {
    this.cancel();
    this.chosen = name;
    this.viewer.redraw();
  }

  get isDrawing() { return this.active !== null; }

  down(point, erase = false) {
    this.active ??= MAKERS[this.chosen]?.(this, erase) ?? null;
    this.active?.down(point);
    if (this.active?.isDone) this.finish();
  }

  move(points) {
    this.cursor = points.at(-1);
    this.active?.move(points);
    if (!this.active?.draw) this.viewer.redraw();
    else this.drawMarks();
  }

  up() {
    if (this.active && !this.active.staysDown) this.finish();
  }

  finish() {
    const edit = this.active?.up() ?? null;
    this.active = null;
    if (edit) this.finished(edit);
    this.viewer.redraw();
  }

  cancel() {
    if (!this.active) return;
    this.active = null;
    this.viewer.redraw();
  }

  drawMarks() {
    const context = this.viewer.contexts.marks;
    this.viewer.clear(context);
    if (!this.viewer.photo) return;
    const { ratio } = this.viewer;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.active?.marks?.((points, closed) => this.drawLine(context, points, closed));
    if (this.cursor && ['brush', 'eraser'].includes(this.chosen)) this.drawCursor(context);
    else if (this.cursor && this.byKeys) this.drawCross(context);
  }

  drawLine(context, points, closed) {
    context.beginPath();
    for (const [x, y] of points) context.lineTo(...this.viewer.toScreen(x, y));
    if (closed) context.closePath();
    twice(context);
  }

  drawCursor(context) {
    const [x, y] = this.viewer.toScreen(...this.cursor);
    context.beginPath();
    context.arc(x, y, Math.max(1, (this.diameter() / 2) * this.viewer.scale), 0, 2 * Math.PI);
    twice(context);
    if (this.byKeys) this.drawCross(context);
  }

  drawCross(context) {
    const [x, y] = this.viewer.toScreen(...this.cursor);
    context.beginPath();
    context.moveTo(x - 8, y);
    context.lineTo(x + 8, y);
    context.moveTo(x, y - 8);
    context.lineTo(x, y + 8);
    twice(context);
  }
}

// A line that is seen on any ground.
function twice(context) {
  context.lineWidth = 3;
  context.strokeStyle = '#000a';
  context.stroke();
  context.lineWidth = 1.25;
  context.strokeStyle = '#fff';
  context.stroke();
}

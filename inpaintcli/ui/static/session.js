// The photo that is open: what the server says of it, and what is on its way there.

import * as api from './api.js';
import { Outbox, newId } from './outbox.js';

const WORKING_MS = 300;
const IDLE_MS = 3000;

export class Session {
  // `changed(session)` is called with every new state, `failed(problem)` with every refusal.
  constructor(photo, viewer, { changed, failed }) {
    this.id = photo;
    this.viewer = viewer;
    this.changed = changed;
    this.failed = failed;
    this.state = null;
    this.shapes = []; // drawn here, and not yet in the server's picture of the mask
    this.answers = 0;
    this.outbox = new Outbox(photo, (state) => this.take(state), (problem) => this.refused(problem));
  }

  async open() {
    const state = await api.readState(this.id);
    if (this.closed) return;
    this.viewer.open(state);
    this.shapes = this.outbox.edits.map((edit) => ({ edit, arrived: null }));
    this.take(state);
    this.outbox.send();
  }

  close() {
    this.closed = true;
    this.outbox.close();
    clearTimeout(this.polling);
  }

  take(state) {
    if (this.closed) return;
    this.state = state;
    const answer = this.answers += 1;
    const known = new Set(state.edits.map((edit) => edit.id));
    for (const shape of this.shapes) if (known.has(shape.edit.id)) shape.arrived ??= answer;
    this.viewer.show(state).then((isShown) => {
      if (!isShown) return;
      this.shapes = this.shapes.filter(({ arrived }) => arrived === null || arrived > answer);
      this.viewer.redraw();
    });
    this.changed(this);
    this.pollSoon();
  }

  pollSoon() {
    clearTimeout(this.polling);
    this.polling = setTimeout(() => this.poll(), this.state.working ? WORKING_MS : IDLE_MS);
  }

  async poll() {
    if (this.closed) return;
    if (document.hidden || this.outbox.sending) {
      this.pollSoon();
      return;
    }
    const before = this.answers;
    try {
      const state = await api.readState(this.id);
      if (this.closed) return;
      if (this.answers === before) this.take(state);
      this.wasGone = false;
    } catch (problem) {
      if (!this.wasGone) this.failed(problem);
      this.wasGone = true;
      this.pollSoon();
    }
  }

  refused(problem) {
    if (problem && !problem.fields?.gone) this.shapes = this.shapes.filter(({ edit }) => this.outbox.edits.includes(edit));
    this.viewer.redraw();
    this.failed(problem);
  }

  // An edit that was drawn or chosen.
  add(edit) {
    this.shapes.push({ edit, arrived: null });
    this.outbox.add(edit);
  }

  change(kind, fields = {}) {
    this.add({ id: newId(), kind, ...fields });
  }

  // A request besides edits: after all of them.
  async ask(request) {
    await this.outbox.send();
    try {
      const state = await request();
      if (state?.edits) this.take(state);
      return state;
    } catch (problem) {
      this.failed(problem);
      return null;
    }
  }

  undo() { this.step(-1); }

  redo() { this.step(1); }

  // Steps add up while an earlier one is on its way, and come after all edits.
  step(by) {
    this.steps = (this.steps ?? 0) + by;
    this.stepping = (this.stepping ?? Promise.resolve()).then(() => this.ask(async () => {
      const { done, edits } = this.state;
      const wanted = Math.max(0, Math.min(edits.length, done + this.steps));
      this.steps = 0;
      if (wanted === done) return null;
      this.shapes = [];
      return api.moveTo(this.id, wanted);
    }));
  }

  get lastFill() {
    return this.state.edits.slice(0, this.state.done).findLast((edit) => edit.seeds);
  }
}

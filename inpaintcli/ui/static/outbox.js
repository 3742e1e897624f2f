// Edits on their way to the server: in order, and kept by the browser until they have arrived, so
// that neither a reload nor a server that is started again loses one. Each has an id of its own:
// the server does an edit that comes twice once.

import * as api from './api.js';

const KEY = (photo) => `inpaintcli-edits-${photo}`;

export const newId = () => crypto.randomUUID();

export class Outbox {
  // `arrived(state)` is called with the server's answer to each edit, `failed(problem)` if one is
  // refused or the server is gone.
  constructor(photo, arrived, failed) {
    this.photo = photo;
    this.arrived = arrived;
    this.failed = failed;
    this.edits = JSON.parse(localStorage.getItem(KEY(photo)) || '[]');
    this.sending = null;
    this.closed = false;
  }

  add(edit) {
    this.edits.push(edit);
    this.keep();
    return this.send();
  }

  // Resolves once everything has arrived.
  send() {
    this.sending ??= this.sendAll().finally(() => { this.sending = null; });
    return this.sending;
  }

  async sendAll() {
    while (this.edits.length && !this.closed) {
      const edit = this.edits[0];
      try {
        const state = await api.sendEdit(this.photo, edit);
        this.edits.shift();
        this.keep();
        if (this.wasGone) this.failed(null);
        this.wasGone = false;
        this.arrived(state);
      } catch (problem) {
        this.wasGone = Boolean(problem.fields?.gone);
        if (!this.wasGone) {
          this.edits.shift();
          this.keep();
        }
        this.failed(problem);
        if (!this.wasGone) continue;
        await new Promise((resume) => setTimeout(resume, 1500));
      }
    }
  }

  keep() {
    try {
      if (this.edits.length) localStorage.setItem(KEY(this.photo), JSON.stringify(this.edits));
      else localStorage.removeItem(KEY(this.photo));
    } catch { /* full: they are still in memory */ }
  }

  close() {
    this.closed = true;
  }
}

// The list of photos, and files that are dropped in.

import * as api from './api.js';

const STATES = { new: '', edited: 'edited', saved: 'saved' };

export class PhotoList {
  constructor({ opened, failed, listed }) {
    this.list = document.getElementById('photo-list');
    this.opened = opened;
    this.failed = failed;
    this.listed = listed;
    this.current = null;
    this.seen = new IntersectionObserver((entries) => entries.forEach((entry) => {
      if (!entry.isIntersecting) return;
      entry.target.src = entry.target.dataset.address;
      this.seen.unobserve(entry.target);
    }));
    const chosen = document.getElementById('file');
    chosen.addEventListener('change', () => this.upload([...chosen.files]).then(() => { chosen.value = ''; }));
    this.listenForDrops();
  }

  async load() {
    const { photos, models } = await api.listPhotos();
    this.photos = photos;
    this.list.replaceChildren(...photos.map((photo) => this.entry(photo)));
    this.mark(this.current);
    this.listed(models);
    return photos;
  }

  entry(photo) {
    const button = document.createElement('button');
    button.type = 'button';
    button.dataset.id = photo.id;
    const image = document.createElement('img');
    image.alt = '';
    image.dataset.address = api.thumbnailAddress(photo.id);
    this.seen.observe(image);
    const text = document.createElement('span');
    const name = document.createElement('span');
    name.className = 'name';
    name.textContent = photo.name;
    const state = document.createElement('span');
    state.className = 'state';
    state.textContent = STATES[photo.status];
    text.append(name, state);
    button.append(image, text);
    button.addEventListener('click', () => this.opened(photo.id));
    const item = document.createElement('li');
    item.append(button);
    return item;
  }

  mark(id) {
    this.current = id;
    for (const button of this.list.querySelectorAll('button')) {
      button.setAttribute('aria-current', String(button.dataset.id === id));
    }
  }

  // What the page knows better than the list that was loaded.
  setStatus(id, status) {
    const state = this.list.querySelector(`button[data-id="${CSS.escape(id)}"] .state`);
    if (state) state.textContent = STATES[status];
  }

  async upload(files) {
    let last = null;
    for (const file of files) {
      try {
        last = await api.upload(file);
      } catch (problem) {
        this.failed(problem);
      }
    }
    if (!last) return;
    await this.load();
    this.opened(last.id);
  }

  listenForDrops() {
    const { classList } = document.body;
    addEventListener('dragover', (event) => {
      event.preventDefault();
      classList.add('dropping');
    });
    addEventListener('dragleave', (event) => event.relatedTarget || classList.remove('dropping'));
    addEventListener('drop', (event) => {
      event.preventDefault();
      classList.remove('dropping');
      this.upload([...event.dataTransfer.files]);
    });
  }
}

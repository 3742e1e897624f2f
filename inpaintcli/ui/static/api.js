// Requests to the server. All addresses are relative to the page's, which holds the secret.

export class Problem extends Error {
  constructor(message, hint, fields = {}) {
    super(hint ? `${message} ${hint}` : message);
    this.fields = fields;
  }
}

const GONE = 'The server does not answer. What you draw is kept here and sent once it does.';
const EARLIER = 'The server was started again: open the address that it has printed. '
  + 'What you draw is kept here and sent from there, if its port is the same.';
const MOST = 2 ** 30;

async function answered(address, options) {
  let response;
  try {
    response = await fetch(address, { cache: 'default', ...options });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem(GONE, '', { gone: true });
  }
  if (response.ok) return response;
  if (response.status === 403) throw new Problem(EARLIER, '', { gone: true });
  const fields = await response.json().catch(() => ({}));
  throw new Problem(fields.message || `The server refused (${response.status}).`, fields.hint, fields);
}

const base = (photo) => `api/photos/${encodeURIComponent(photo)}`;

function sent(address, fields) {
  const headers = { 'Content-Type': 'application/json' };
  return answered(address, { method: 'POST', headers, body: JSON.stringify(fields) })
    .then((response) => response.json());
}

export const listPhotos = () => answered('api/photos').then((response) => response.json());
export const readState = (photo) => answered(base(photo)).then((response) => response.json());
export const sendEdit = (photo, edit) => sent(`${base(photo)}/edits`, edit);
export const moveTo = (photo, done) => sent(`${base(photo)}/position`, { done });
export const trySeed = (photo, fill, seed) => sent(`${base(photo)}/seed`, { fill, seed });
export const cancelFills = (photo) => sent(`${base(photo)}/cancel`, {});
export const findObject = (photo, fields) => sent(`${base(photo)}/object`, fields);
export const forget = (photo) => sent(`${base(photo)}/forget`, {});
export const save = (photo, overwrite) => sent(`${base(photo)}/save`, { overwrite });
export const command = (photo) => answered(`${base(photo)}/command`).then((response) => response.text());
export const thumbnailAddress = (photo) => `${base(photo)}/thumbnail`;

export async function upload(file) {
  if (file.size > MOST) throw new Problem(`${file.name} is larger than 1 GB.`, '');
  const address = `api/photos?name=${encodeURIComponent(file.name)}`;
  return answered(address, { method: 'POST', body: file }).then((response) => response.json());
}

export function importMask(photo, id, file) {
  const query = new URLSearchParams({ id, name: file.name.slice(-40) });
  return answered(`${base(photo)}/masks?${query}`, { method: 'POST', body: file })
    .then((response) => response.json());
}

// A part of a layer as a bitmap: box in pixels of the photo, size in pixels of the screen.
export async function view(photo, layer, version, box, size, signal) {
  const [x, y, w, h] = box;
  const query = new URLSearchParams({ x, y, w, h, width: size[0], height: size[1], v: version });
  const response = await answered(`${base(photo)}/view/${layer}?${query}`, { signal });
  return createImageBitmap(await response.blob());
}

export async function download(photo, what, name) {
  const response = await answered(`${base(photo)}/${what}`);
  const address = URL.createObjectURL(await response.blob());
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}

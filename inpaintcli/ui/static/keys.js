// The keyboard: what each key does, and the list of them for the help.

export const HELP = [
  ['B E O L P R H', 'brush, eraser, object (click on it, or a box around it), lasso, polygon, box, move'],
  ['[ ]', 'smaller, larger (also Ctrl and the wheel)'],
  ['F', 'fill'],
  ['T', 'another try'],
  ['Esc', 'drop what is being drawn; cancel the fill'],
  ['Ctrl+Z', 'undo'],
  ['Ctrl+Shift+Z', 'redo (also Ctrl+Y)'],
  ['Ctrl+S', 'save'],
  ['C held', 'before'],
  ['I', 'invert the mask'],
  ['Delete', 'clear the mask'],
  ['+ - 0 1', 'zoom in, out, fit, pixel by pixel'],
  ['wheel', 'zoom; with the middle button or Space: move'],
  ['arrows, Enter', 'on the photo: move the cursor; put the tool down and lift it'],
  ['Enter', 'twice in one place: close the polygon'],
  ['?', 'this list'],
];

// `actions` are functions by the names below.
export function listenForKeys(actions) {
  const plain = {
    b: () => actions.tool('brush'),
    e: () => actions.tool('eraser'),
    l: () => actions.tool('lasso'),
    p: () => actions.tool('polygon'),
    r: () => actions.tool('box'),
    h: () => actions.tool('hand'),
    o: () => actions.tool('object'),
    '[': () => actions.resize(-1),
    ']': () => actions.resize(1),
    f: actions.fill,
    t: actions.another,
    i: actions.invert,
    Delete: actions.clear,
    Escape: actions.escape,
    '+': () => actions.zoom(1.25),
    '=': () => actions.zoom(1.25),
    '-': () => actions.zoom(0.8),
    0: actions.fit,
    1: actions.fullSize,
    '?': actions.help,
  };
  const withControl = {
    z: actions.undo, Z: actions.redo, y: actions.redo, s: actions.save,
  };
  addEventListener('keydown', (event) => {
    const typing = event.target.matches('input:not([type="radio"], [type="checkbox"], [type="range"]), select, textarea');
    if (typing || event.altKey || document.querySelector('dialog[open]')) return;
    const control = event.ctrlKey || event.metaKey;
    const key = event.key.length === 1 && !control ? event.key.toLowerCase() : event.key;
    if (key === 'c' && !control) actions.hold(true);
    const action = control ? withControl[event.key] : plain[key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  addEventListener('keyup', (event) => {
    if (event.key.toLowerCase() === 'c') actions.hold(false);
  });
}

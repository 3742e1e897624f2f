// Mouse, pen, fingers, wheel and arrow keys on the stage.

const ERASER_END = 32; // of PointerEvent.buttons
const STEP = 8; // screen pixels of an arrow key

export function listen(stage, viewer, tools, { resize }) {
  const fingers = new Map();
  let panning = null;
  let spaceHeld = false;
  let drawing = null; // the pointer that draws

  const at = (event) => {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  // Only pens know a pressure; the default of others, 0.5, means nothing.
  const pressure = (event) => (event.pointerType === 'pen' && event.pressure > 0
    ? 0.25 + 1.5 * event.pressure * 0.5 : 1);
  const point = (event) => [...viewer.toPhoto(...at(event)), pressure(event)];

  stage.addEventListener('pointerdown', (event) => {
    if (!viewer.photo || event.target.id === 'divider') return;
    stage.focus({ preventScroll: true });
    event.preventDefault();
    tools.byKeys = false;
    capture(event.pointerId);
    if (event.pointerType === 'touch') fingers.set(event.pointerId, at(event));
    if (fingers.size > 1) {
      tools.cancel(); // the first of two fingers has begun to draw
      drawing = null;
      return;
    }
    const moves = event.button === 1 || spaceHeld || tools.chosen === 'hand' || viewer.mode !== 'edit';
    if (moves) {
      panning = { id: event.pointerId, at: at(event) };
      stage.classList.add('moving');
      return;
    }
    const erases = (event.buttons & ERASER_END) !== 0 || event.button === 5;
    if (event.button !== 0 && !erases) return;
    drawing = event.pointerId;
    measureFrames();
    tools.down(point(event), erases);
  });

  stage.addEventListener('pointermove', (event) => {
    if (!viewer.photo) return;
    if (fingers.has(event.pointerId) && fingers.size > 1) {
      pinch(event);
      return;
    }
    if (panning?.id === event.pointerId) {
      const [x, y] = at(event);
      viewer.panBy(x - panning.at[0], y - panning.at[1]);
      panning.at = [x, y];
      return;
    }
    if (drawing !== null && event.pointerId !== drawing) return;
    const events = drawing === null ? [event] : event.getCoalescedEvents?.() ?? [];
    tools.move((events.length ? events : [event]).map(point));
  });

  function capture(pointer) {
    try {
      stage.setPointerCapture(pointer);
    } catch { /* lifted already */ }
  }

  function pinch(event) {
    const [first, second] = [...fingers.keys()];
    const before = [fingers.get(first), fingers.get(second)];
    fingers.set(event.pointerId, at(event));
    const after = [fingers.get(first), fingers.get(second)];
    const middle = ([a, b]) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
    const apart = ([a, b]) => Math.max(1, Math.hypot(a[0] - b[0], a[1] - b[1]));
    const [from, to] = [middle(before), middle(after)];
    viewer.panBy(to[0] - from[0], to[1] - from[1]);
    viewer.zoomTo(viewer.scale * (apart(after) / apart(before)), ...to);
  }

  function lift(event) {
    const wasPinch = fingers.size > 1;
    fingers.delete(event.pointerId);
    if (panning?.id === event.pointerId) {
      panning = null;
      stage.classList.remove('moving');
    }
    if (wasPinch || event.pointerId !== drawing) return;
    drawing = null;
    tools.up();
  }

  stage.addEventListener('pointerup', lift);
  stage.addEventListener('pointercancel', lift); // what is drawn so far stays
  stage.addEventListener('pointerleave', () => {
    if (drawing !== null || tools.byKeys) return;
    tools.cursor = null;
    viewer.redraw();
  });
  stage.addEventListener('contextmenu', (event) => event.preventDefault());

  function leave() {
    spaceHeld = false;
    panning = null;
    fingers.clear();
    viewer.hold(false);
    if (drawing === null) return;
    drawing = null;
    tools.up();
  }

  addEventListener('blur', leave);
  addEventListener('pagehide', leave);
  document.addEventListener('visibilitychange', () => document.hidden && leave());

  stage.addEventListener('wheel', (event) => {
    event.preventDefault();
    if (event.ctrlKey) resize(event.deltaY < 0 ? 1 : -1);
    else viewer.zoomTo(viewer.scale * 1.0018 ** -event.deltaY, ...at(event));
  }, { passive: false });

  stage.addEventListener('keydown', (event) => {
    if (!viewer.photo || event.target !== stage) return;
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key === ' ') {
      spaceHeld = true;
      event.preventDefault();
    } else if (steps[event.key]) {
      event.preventDefault();
      moveCursor(steps[event.key], event.shiftKey ? 1 : STEP);
    } else if (event.key === 'Enter' && viewer.mode === 'edit') {
      event.preventDefault();
      press();
    } else if (event.key === 'Escape') {
      tools.cancel();
    }
  });
  stage.addEventListener('keyup', (event) => {
    if (event.key === ' ') spaceHeld = false;
  });

  function moveCursor([x, y], step) {
    tools.byKeys = true;
    const middle = viewer.toPhoto(stage.clientWidth / 2, stage.clientHeight / 2);
    const [fromX, fromY] = tools.cursor ?? middle;
    const size = step / viewer.scale;
    const within = (value, most) => Math.max(0, Math.min(most, value));
    const to = [within(fromX + x * size, viewer.photo.width), within(fromY + y * size, viewer.photo.height), 1];
    tools.move([to]);
    keepInSight(to);
  }

  function keepInSight([x, y]) {
    const [screenX, screenY] = viewer.toScreen(x, y);
    const out = (value, most) => Math.min(0, most - 20 - value) + Math.max(0, 20 - value);
    const dx = out(screenX, stage.clientWidth);
    const dy = out(screenY, stage.clientHeight);
    if (dx || dy) viewer.panBy(dx, dy);
  }

  function press() {
    if (!tools.cursor) moveCursor([0, 0], 0);
    if (tools.isDrawing && !tools.active.staysDown) tools.up();
    else tools.down(tools.cursor);
  }

  // The time of each frame while something is drawn, as performance entries of the page.
  function measureFrames() {
    let last = performance.now();
    const frame = () => {
      const now = performance.now();
      performance.measure('stroke-frame', { start: last, end: now });
      last = now;
      if (drawing !== null) requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }
}

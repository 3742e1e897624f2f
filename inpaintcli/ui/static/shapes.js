// Strokes and shapes as the page draws them, at once; the server draws them again at full size, and
// its drawing replaces these as soon as it is there.

const COLOUR = 'rgb(255 0 90)';

export function drawShape(context, edit) {
  context.save();
  context.globalCompositeOperation = edit.erase ? 'destination-out' : 'source-over';
  context.fillStyle = COLOUR;
  context.strokeStyle = COLOUR;
  DRAW[edit.kind]?.(context, edit);
  context.restore();
}

// The part of a stroke from point number `from` on.
export function drawStroke(context, { points, erase }, from = 0) {
  context.save();
  context.globalCompositeOperation = erase ? 'destination-out' : 'source-over';
  context.fillStyle = COLOUR;
  context.strokeStyle = COLOUR;
  context.lineCap = 'round';
  context.lineJoin = 'round';
  if (points.length === 1) dot(context, points[0]);
  for (let number = Math.max(1, from); number < points.length;) {
    const radius = points[number][2];
    context.lineWidth = 2 * radius;
    context.beginPath();
    context.moveTo(points[number - 1][0], points[number - 1][1]);
    do {
      context.lineTo(points[number][0], points[number][1]);
      number += 1;
    } while (number < points.length && points[number][2] === radius);
    context.stroke();
  }
  context.restore();
}

function dot(context, [x, y, radius]) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function fillPath(context, points) {
  context.beginPath();
  points.forEach(([x, y]) => context.lineTo(x, y));
  context.fill('evenodd');
}

const DRAW = {
  stroke: (context, edit) => drawStroke(context, edit),
  polygon: (context, edit) => fillPath(context, edit.points),
  box: (context, edit) => context.fillRect(...edit.box),
  clear: (context) => context.clearRect(-1e6, -1e6, 2e6, 2e6),
};

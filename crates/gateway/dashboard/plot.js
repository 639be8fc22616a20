// Small plots in SVG: one line or two, or bars, over time. Each says in words
// what it shows, and the value under the pointer or the arrow keys.

import { fill, h, svg } from './dom.js';

const [WIDTH, HEIGHT] = [600, 120];

const time = (ms) => new Date(ms).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });

// A round number that is not below this one.
function ceiling(most) {
  if (!(most > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 2.5, 5, 10].map((step) => step * power).find((round) => round >= most - 1e-9);
}

// Runs of known values; a gap is a gap.
function runs(values, x, y) {
  const all = [];
  let run = [];
  values.forEach((value, index) => {
    if (value === null) {
      if (run.length) all.push(run);
      run = [];
    } else run.push([x(index), y(value)]);
  });
  if (run.length) all.push(run);
  return all;
}

const path = (points) => points.map(([x, y], index) => `${index ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`).join('');

// { title, at, values, second, show, kind, top }
export function plot({ title, at, values, second = null, show, kind = 'line', top = null, note = null }) {
  const known = values.filter((value) => value !== null);
  const caption = h('figcaption', {}, title, h('span', {}, note ?? ''));
  if (known.length === 0) return h('figure', {}, caption, h('p', { class: 'soft' }, 'Nothing to show yet.'));
  const most = top ?? ceiling(Math.max(...known, ...(second ?? []).filter((value) => value !== null)));
  const x = (index) => (at.length < 2 ? WIDTH / 2 : (index / (at.length - 1)) * WIDTH);
  const y = (value) => HEIGHT - (Math.min(value, most) / most) * (HEIGHT - 4);
  const last = known[known.length - 1];
  const told = h('span', { 'aria-live': 'polite' }, note ?? `now ${show(last)}`);
  const cross = svg('line', { class: 'plot-cross', y1: 0, y2: HEIGHT, visibility: 'hidden' });
  const shapes = [];
  if (kind === 'bar') {
    const wide = Math.max(1.5, (WIDTH / Math.max(at.length, 30)) * 0.7);
    values.forEach((value, index) => {
      if (value) shapes.push(svg('rect', { class: 'plot-bar', x: x(index) - wide / 2, y: y(value), width: wide, height: HEIGHT - y(value), rx: 1 }));
    });
  } else {
    for (const run of runs(second ?? [], x, y)) shapes.push(svg('path', { class: 'plot-second', d: path(run) }));
    for (const run of runs(values, x, y)) {
      const area = `${path(run)}L${run[run.length - 1][0].toFixed(1)} ${HEIGHT}L${run[0][0].toFixed(1)} ${HEIGHT}Z`;
      const line = run.length > 1 ? path(run) : `M${run[0][0] - 1} ${run[0][1]}h2`;
      shapes.push(svg('path', { class: 'plot-area', d: area }), svg('path', { class: 'plot-line', d: line }));
    }
  }
  const label = `${title}: ${show(last)} at last, between ${show(Math.min(...known))} and ${show(Math.max(...known))} since ${time(at[0])}. The arrow keys read single values.`;
  const picture = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', tabindex: '0', 'aria-label': label },
    svg('line', { class: 'plot-grid', x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT }),
    svg('line', { class: 'plot-grid', x1: 0, x2: WIDTH, y1: 4, y2: 4 }), shapes, cross);
  let place = at.length - 1;
  function point(index) {
    place = Math.max(0, Math.min(at.length - 1, index));
    cross.setAttribute('x1', x(place));
    cross.setAttribute('x2', x(place));
    cross.setAttribute('visibility', 'visible');
    const value = values[place] === null ? 'nothing' : show(values[place]);
    const other = second && second[place] !== null ? ` / ${show(second[place])}` : '';
    fill(told, `${time(at[place])}: ${value}${other}`);
  }
  function rest() {
    cross.setAttribute('visibility', 'hidden');
    fill(told, note ?? `now ${show(last)}`);
  }
  picture.addEventListener('pointermove', (event) => {
    const box = picture.getBoundingClientRect();
    point(Math.round(((event.clientX - box.left) / box.width) * (at.length - 1)));
  });
  picture.addEventListener('pointerleave', rest);
  picture.addEventListener('blur', rest);
  picture.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowLeft') point(place - 1);
    else if (event.key === 'ArrowRight') point(place + 1);
    else return;
    event.preventDefault();
  });
  fill(caption, title, told);
  return h('figure', {}, caption, picture,
    h('div', { class: 'axis' }, h('span', {}, time(at[0])), h('span', {}, `top ${show(most)}`), h('span', {}, time(at[at.length - 1]))));
}

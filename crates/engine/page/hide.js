// Makes all that is somebody's unreadable while a picture of the page is taken. Not one of the
// scripts that live in the document: it comes with each picture, in whatever document is there.
//
// What is adopted is a style sheet, so no element is changed and nothing of the page's own hears
// of it. Texts become bars, and all that can show an image shows nothing; boxes and the colours
// behind them stay. A rule of ours in a layer wins over every rule of the page outside of layers;
// whether it won is looked at, element by element, and without that there is no picture.
async (step, token, paintMs, lookMs, standMs) => {
  'use strict';
  const SHEETS = Symbol.for('steadfast.hidden');
  const SLICE_MS = 8;
  const CLEAR = 'rgba(0, 0, 0, 0)';

  if (!Object.hasOwn(window, SHEETS)) Object.defineProperty(window, SHEETS, { value: new Map() });
  const sheets = window[SHEETS];

  // The document and the open shadow trees in it.
  function trees() {
    const found = [document];
    for (const tree of found) {
      for (const element of tree.querySelectorAll('*')) {
        if (element.shadowRoot) found.push(element.shadowRoot);
      }
    }
    return found;
  }

  // Whether it was hidden all the time, up to now.
  function show() {
    const sheet = sheets.get(token);
    if (!sheet) return false;
    sheets.delete(token);
    let stood = true;
    for (const tree of trees()) {
      const others = [...tree.adoptedStyleSheets].filter((one) => one !== sheet);
      stood &&= others.length < tree.adoptedStyleSheets.length;
      tree.adoptedStyleSheets = others;
    }
    return stood;
  }

  if (step === 'show') return { stood: show() };

  const rule = (declared) => Object.entries(declared).map(([name, value]) => `${name}:${value}!important;`).join('');
  // A transition would show the text for as long as it lasts. One that runs, of another property, goes on.
  const NOW = { 'transition-duration': '0s', 'transition-delay': '0s' };
  const TEXT = {
    color: 'transparent',
    '-webkit-text-fill-color': 'transparent',
    '-webkit-text-stroke-color': 'transparent',
    'text-shadow': 'none',
    'text-emphasis': 'none',
    'caret-color': 'transparent',
  };
  const IMAGES = {
    'background-image': 'none',
    'background-clip': 'border-box',
    'border-image-source': 'none',
    'list-style-image': 'none',
    'mask-image': 'none',
    filter: 'none',
    'backdrop-filter': 'none',
    'box-shadow': 'none',
    '-webkit-box-reflect': 'none',
  };
  const BAR = {
    'text-decoration-line': 'line-through',
    'text-decoration-style': 'solid',
    'text-decoration-color': '#90a0a8',
    'text-decoration-thickness': '0.6em',
  };
  const DRAWN = ['img', 'canvas', 'video', 'audio', 'svg', 'picture', 'object', 'embed', 'iframe', 'frame',
    'input[type="image" i]', 'input[type="color" i]', 'math', '[data-ref]', ':not(:defined)'].join(',');
  const GENERATED = ['before', 'after', 'scroll-marker', 'scroll-button(*)', 'checkmark', 'picker-icon'];
  const STYLED = ['first-letter', 'first-line', 'marker', 'selection', 'placeholder', 'file-selector-button',
    'backdrop', 'target-text', 'spelling-error', 'grammar-error', 'search-text', 'cue',
    ...[...(window.CSS?.highlights?.keys() ?? [])].map((name) => `highlight(${CSS.escape(name)})`)];

  const rules = [
    `*{${rule({ ...TEXT, ...IMAGES, ...BAR, ...NOW, content: 'normal' })}}`,
    `:is(${DRAWN}){${rule({ opacity: '0' })}}`,
    `:root::view-transition{${rule({ display: 'none' })}}`,
    ...GENERATED.map((name) => `*::${name}{${rule({ ...TEXT, ...IMAGES, ...NOW, content: 'none' })}}`),
    ...STYLED.map((name) => `*::${name}{${rule({ ...TEXT, ...IMAGES, ...NOW })}}`),
  ];
  const sheet = new CSSStyleSheet();
  sheet.replaceSync('@layer steadfast-hidden {}');
  for (const text of rules) {
    try {
      sheet.cssRules[0].insertRule(text);
    } catch {
      // A pseudo-element that this browser does not know has nothing in it to be hidden.
    }
  }

  // What of an element can be seen all the same; nothing where all is well.
  const WANTED = Object.entries({
    color: CLEAR,
    webkitTextFillColor: CLEAR,
    webkitTextStrokeColor: CLEAR,
    textShadow: 'none',
    backgroundImage: 'none',
    backgroundClip: 'border-box',
    borderImageSource: 'none',
    listStyleImage: 'none',
    maskImage: 'none',
    filter: 'none',
    content: 'normal',
  });
  function seen(element) {
    const style = getComputedStyle(element);
    if (element.matches(DRAWN)) return style.opacity === '0' ? '' : 'opacity';
    // What the page's own elements draw in a closed shadow tree is out of our reach.
    if (element.localName.includes('-') && !element.shadowRoot) return 'what may be closed in an element';
    for (const [name, value] of WANTED) if (style[name] !== value) return name;
    for (const pseudo of ['::before', '::after']) {
      if (getComputedStyle(element, pseudo).content !== 'none') return pseudo;
    }
    return '';
  }

  // Looks in slices: what the page has to do goes on between them.
  async function firstSeen() {
    const until = performance.now() + lookMs;
    let sliceEnds = performance.now() + SLICE_MS;
    for (const tree of trees()) {
      if (!tree.adoptedStyleSheets.includes(sheet)) return 'a part that is new';
      for (const element of tree.querySelectorAll('*')) {
        const now = performance.now();
        if (now > until) return 'more than can be looked at in time';
        if (now > sliceEnds) {
          await new Promise((resolve) => { setTimeout(resolve); });
          sliceEnds = performance.now() + SLICE_MS;
        }
        // Nothing in an element that is hidden as a whole is drawn.
        if (element.parentElement?.closest(DRAWN) || !element.isConnected) continue;
        const what = seen(element);
        if (what) return `${what} of ${element.localName.slice(0, 40)}`;
      }
    }
    return '';
  }

  sheets.set(token, sheet);
  // Whoever asked may be gone before the picture is taken.
  setTimeout(show, standMs);
  for (const tree of trees()) tree.adoptedStyleSheets = [...tree.adoptedStyleSheets, sheet];
  const painted = await new Promise((resolve) => {
    requestAnimationFrame(() => requestAnimationFrame(() => resolve(true)));
    setTimeout(() => resolve(false), paintMs);
  });
  const why = painted ? await firstSeen() : 'the page is not painted';
  if (why) show();
  return {
    hidden: !why,
    why: painted && why ? `the page goes on showing ${why}` : why,
    width: window.innerWidth,
    height: window.innerHeight,
  };
}

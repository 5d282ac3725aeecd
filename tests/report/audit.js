// What is wrong with a page as it stands in a frame: a list of sentences, empty for a good page.
// `asked` names the rules that the frame is held to.
const audit = (frame, asked) => {
  const doc = frame.contentDocument, view = frame.contentWindow, wide = doc.documentElement.clientWidth;
  const wrong = [];
  const say = (rule, text) => { if (asked.includes(rule)) wrong.push(`${rule}: ${text}`); };
  const name = (el) => `<${el.tagName.toLowerCase()} ${el.getAttribute("class") || ""}> ${(el.textContent || "").trim().replace(/\s+/g, " ").slice(0, 40)}`;
  const seen = (el) => el.checkVisibility({ opacityProperty: true, visibilityProperty: true, contentVisibilityAuto: true });
  const all = (selector, root = doc) => [...root.querySelectorAll(selector)];
  const box = (el) => {  // of what is written in it, not of the block that it stands in
    const range = doc.createRange();
    range.selectNodeContents(el);
    return range.getBoundingClientRect();
  };
  const written = all("body *").filter((el) =>
    !el.closest("script, style, title") && seen(el) && [...el.childNodes].some((n) => n.nodeType === 3 && n.data.trim()));
  const hides = (el) => {  // whether somebody above it scrolls or cuts on purpose
    for (let up = el; up && up !== doc.body; up = up.parentElement)
      if (!(up instanceof view.SVGElement) && view.getComputedStyle(up).overflowX !== "visible") return true;
    return false;
  };

  // -- room
  const over = doc.documentElement.scrollWidth - wide;
  if (over > 0) {
    const farthest = all("body *").filter((el) => !hides(el)).sort((a, b) => b.getBoundingClientRect().right - a.getBoundingClientRect().right)[0];
    say("room", `the page is ${over} px wider than its ${wide} px, for ${name(farthest)}`);
  }
  for (const el of written) {
    if (hides(el)) continue;
    const at = el instanceof view.SVGElement ? el.getBoundingClientRect() : box(el);
    if (at.left < -0.5 || at.right > wide + 0.5) say("room", `${name(el)} stands from ${at.left | 0} to ${at.right | 0} of ${wide}`);
  }
  for (const table of all("[data-whole]"))
    if (table.scrollWidth > table.clientWidth + 1) say("room", `${name(table)} hides ${table.scrollWidth - table.clientWidth} px`);

  for (const el of all("body *").filter(seen)) {
    const style = view.getComputedStyle(el);
    const cut = style.overflowY === "hidden" && style.webkitLineClamp === "none" && el.clientHeight > 2;
    if (cut && el.scrollHeight > el.clientHeight + 2) say("room", `${name(el)} is cut at its foot by ${el.scrollHeight - el.clientHeight} px`);
  }

  // -- labels: inside their picture, and not on one another
  const apart = (labels, where) => labels.forEach((a, i) => labels.slice(i + 1).forEach((b) => {
    const p = a.getBoundingClientRect(), q = b.getBoundingClientRect();
    const x = Math.min(p.right, q.right) - Math.max(p.left, q.left), y = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
    if (x > 1 && y > 3) say("labels", `in ${where} ${name(a)} and ${name(b)} overlap`);
  }));
  for (const svg of all("svg").filter(seen)) {
    const out = svg.getBoundingClientRect();
    const texts = all("text", svg);
    for (const text of texts) {
      const at = text.getBoundingClientRect();
      if (at.left < out.left - 1 || at.right > out.right + 1 || at.top < out.top - 1 || at.bottom > out.bottom + 1)
        say("labels", `${name(text)} sticks out of ${svg.getAttribute("aria-label")}`);
    }
    apart(texts, svg.getAttribute("aria-label"));
  }
  for (const axis of all(".axis").filter((el) => !(el instanceof view.SVGElement) && seen(el))) apart(all("span", axis), "an axis");
  for (const plot of all("div.plot").filter(seen)) {
    apart(all(".tick", plot), "ticks");
    for (const tick of all(".tick", plot)) if (box(tick).left < 0) say("labels", `${name(tick)} is cut at the left`);
  }

  // -- order: one h1, no level left out, nothing empty
  const levels = all("h1, h2, h3, h4, h5, h6").map((el) => [+el.tagName[1], el]);
  if (levels.filter(([level]) => level === 1).length !== 1) say("order", "there is not one h1");
  levels.forEach(([level, el], i) => {
    if (level > (i ? levels[i - 1][0] : 0) + 1) say("order", `${name(el)} leaves out a level`);
    if (!el.textContent.trim()) say("order", `${name(el)} is empty`);
  });
  for (const section of all("section")) {
    const rest = section.cloneNode(true);
    all("h1, h2, h3, h4, h5, h6, caption, style, script, .keys", rest).forEach((el) => el.remove());
    if (!rest.textContent.trim() && !rest.querySelector("svg path")) say("order", `${name(section)} is empty`);
    const heading = doc.getElementById(section.getAttribute("aria-labelledby") || "");
    if (!heading || !/^H[2-6]$/.test(heading.tagName)) say("order", `${name(section)} has no heading as its name`);
  }
  if (all("main").length !== 1) say("order", "there is not one main");
  for (const ids of [all("[id]").map((el) => el.id)])
    for (const id of new Set(ids)) if (ids.filter((other) => other === id).length > 1) say("order", `the id ${id} is there twice`);

  // -- names: what is heard where it cannot be seen
  if (!doc.documentElement.lang || !doc.title) say("names", "the page has no language or no title");
  for (const svg of all("svg")) {
    if (svg.closest("[aria-hidden=true]")) continue;
    if (svg.getAttribute("role") !== "img" || !(svg.getAttribute("aria-label") || "").trim()) say("names", `${name(svg)} is a picture without a name`);
  }
  for (const el of all("figure")) if (!el.querySelector("figcaption")) say("names", `${name(el)} has no caption`);
  for (const el of all("img:not([alt])")) say("names", `${name(el)} has no alt`);
  for (const el of all("[role=group], [role=region], [role=img], fieldset"))
    if (!(el.getAttribute("aria-label") || "").trim() && !el.hasAttribute("aria-labelledby") && !el.querySelector("legend")) say("names", `${name(el)} has a role and no name`);
  for (const el of all("input")) if (!el.labels.length && !el.getAttribute("aria-label")) say("names", `${name(el)} has no label`);
  for (const el of all("a, button, summary"))
    if (!el.textContent.trim() && !el.getAttribute("aria-label")) say("names", `${name(el)} says nothing`);
  for (const table of all("table")) {
    if (!table.caption || !table.caption.textContent.trim()) say("names", `${name(table)} has no caption`);
    for (const th of all("th", table)) {
      if (!th.getAttribute("scope")) say("names", `${name(th)} has no scope in ${table.caption && name(table.caption)}`);
      if (!th.textContent.trim()) say("names", `a head of ${table.caption && name(table.caption)} is empty`);
    }
  }

  // -- keys: what scrolls can be scrolled, and one sees where one is
  for (const el of all("body *")) {
    const style = view.getComputedStyle(el);
    if (/auto|scroll/.test(style.overflowX) && el.scrollWidth > el.clientWidth + 1 && el.tabIndex < 0) say("keys", `${name(el)} scrolls and cannot be reached`);
  }
  frame.focus();
  for (const el of all("a[href], button, input, summary, [tabindex='0']").filter((el) => el.checkVisibility())) {
    el.focus({ preventScroll: true, focusVisible: true });
    if (doc.activeElement !== el) { say("keys", `${name(el)} takes no focus`); continue; }
    const marked = el.matches("input") ? el.labels[0] || el : el;
    if (view.getComputedStyle(marked).outlineStyle === "none") say("keys", `${name(el)} does not show that it has the focus`);
    el.blur();
  }

  // -- contrast: of what is written against what is behind it
  const canvas = Object.assign(doc.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const rgba = (css) => {
    if (!known.has(css)) known.set(css, painted(css));
    return known.get(css);
  };
  const painted = (css) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = css;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].map((v) => v / 255);
  };
  const light = (c) => c.slice(0, 3).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (el) => {
    for (let up = el; up; up = up.parentElement) {
      if (up instanceof view.SVGElement) continue;
      const c = rgba(view.getComputedStyle(up).backgroundColor);
      if (c[3] > 0.99) return c;
    }
    return [1, 1, 1, 1];
  };
  for (const el of asked.includes("contrast") ? written : []) {
    if (el.matches(".width, .width *")) continue;  // stands on the layers' own colours
    const style = view.getComputedStyle(el);
    const ink = rgba(el instanceof view.SVGElement ? style.fill : style.color);
    const [a, b] = [light(ink), light(behind(el))].sort((p, q) => q - p);
    const ratio = (a + 0.05) / (b + 0.05), large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.6 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) say("contrast", `${name(el)} has ${ratio.toFixed(2)}`);
  }

  // -- folds: nothing is folded away
  for (const el of all("details > :not(summary)"))
    if (!el.checkVisibility() || el.getBoundingClientRect().height < 1) say("folds", `${name(el)} stays folded`);
  return wrong;
};

// What the pages gain from JavaScript: ages, copy buttons, tabs, the theme switch, search, zoom.
// Every page reads well without it; only search needs it.
(function () {
  "use strict";
  const root = document.documentElement;
  const base = root.dataset.base || ".";
  const $ = (selector, from) => (from || document).querySelector(selector);
  const $$ = (selector, from) => Array.from((from || document).querySelectorAll(selector));
  const make = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
    node.append(...children);
    return node;
  };
  const memory = {
    get(key) { try { return localStorage.getItem("cosgen:" + key); } catch (error) { return null; } },
    set(key, value) { try { localStorage.setItem("cosgen:" + key, value); } catch (error) { /* storage is off */ } },
  };
  const say = (text) => { $("#said").textContent = text; };

  // ---- colour theme
  const icons = {
    light: "M12 4V2m0 20v-2m8-8h2M2 12h2m13.7-5.7 1.4-1.4M4.9 19.1l1.4-1.4m0-11.4L4.9 4.9m14.2 14.2-1.4-1.4M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8z",
    dark: "M20 14.5A8 8 0 0 1 9.5 4 8 8 0 1 0 20 14.5z",
  };
  function themeSwitch() {
    const button = $(".theme-switch");
    if (!button) return;
    const system = matchMedia("(prefers-color-scheme: dark)");
    const current = () => root.dataset.theme || (system.matches ? "dark" : "light");
    const draw = () => {
      const next = current() === "dark" ? "light" : "dark";
      const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      svg.setAttribute("viewBox", "0 0 24 24");
      svg.setAttribute("aria-hidden", "true");
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("d", icons[next]);
      svg.append(path);
      button.replaceChildren(svg);
      button.setAttribute("aria-label", "Use the " + next + " theme");
      button.title = "Use the " + next + " theme";
    };
    button.hidden = false;
    button.addEventListener("click", () => {
      const next = current() === "dark" ? "light" : "dark";
      root.dataset.theme = next;
      memory.set("theme", next);
      draw();
    });
    system.addEventListener("change", draw);
    draw();
  }

  // ---- ages: the pages hold times only, so that a rebuild gives the same bytes
  const units = [["year", 31557600], ["month", 2629800], ["week", 604800], ["day", 86400], ["hour", 3600], ["minute", 60]];
  function age(seconds) {
    const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
    for (const [unit, length] of units) {
      if (Math.abs(seconds) >= length) return words.format(-Math.trunc(seconds / length), unit);
    }
    return "just now";
  }
  function ages() {
    const now = Date.now();
    for (const time of $$("time[data-age]")) {
      const text = age((now - Date.parse(time.dateTime)) / 1000);
      if (time.dataset.age === "only") {
        time.title = time.textContent;
        time.textContent = text;
      } else {
        time.append(make("span", { class: "age" }, " (" + text + ")"));
      }
    }
    for (const note of $$("[data-expires]")) {
      note.hidden = Date.parse(note.dataset.expires) > now;
    }
  }

  // ---- copy buttons
  async function copy(text) {
    if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
    const area = make("textarea", { class: "sr", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  function copyButtons() {
    for (const figure of $$("figure.code")) {
      addCopy(figure, $("figcaption", figure), $("pre", figure), ($(".name", figure) || {}).textContent);
    }
    for (const pre of $$(".prose pre")) {
      if (pre.closest("figure")) continue;
      pre.tabIndex = 0;
      const box = make("div", { class: "copybox" });
      pre.replaceWith(box);
      box.append(pre);
      addCopy(box, box, pre, "the example");
    }
  }
  // Of a console example the commands are copied, without the prompt and without what they print.
  function commands(pre) {
    const text = pre.textContent;
    if (!$("code.language-console", pre)) return text;
    return text.split("\n").filter((line) => line.startsWith("$ ")).map((line) => line.slice(2) + "\n").join("");
  }
  function addCopy(figure, place, pre, name) {
    const button = make("button", { type: "button", class: "copy", "aria-label": "Copy " + (name || "the text") }, "Copy");
    let back = 0;
    button.addEventListener("click", async () => {
      await copy(commands(pre));
      button.textContent = "Copied";
      say("Copied " + (name || "the text"));
      clearTimeout(back);
      back = setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    place.append(button);
  }

  // ---- tabs: sections under their headings until this runs; a choice holds for every set of its kind
  let count = 0;
  const sets = [];
  function tabs() {
    for (const set of $$("[data-tabs]")) {
      const sections = $$(":scope > section", set);
      if (sections.length < 2) continue;
      const kind = set.dataset.tabs;
      const list = make("div", { class: "tablist", role: "tablist", "aria-label": set.dataset.label || kind });
      const row = make("div", { class: "tabrow" }, make("span", { class: "label", "aria-hidden": "true" }, set.dataset.label || ""), list);
      const entries = sections.map((section) => {
        const name = section.dataset.tab;
        const id = "tab-" + (count += 1);
        const button = make("button", { type: "button", role: "tab", id: id, "aria-controls": id + "-panel" }, name);
        section.id = section.id || id + "-panel";
        button.setAttribute("aria-controls", section.id);
        section.setAttribute("role", "tabpanel");
        section.setAttribute("aria-labelledby", id);
        list.append(button);
        return { name, button, section };
      });
      set.prepend(row);
      const record = { kind, entries };
      sets.push(record);
      for (const entry of entries) {
        entry.button.addEventListener("click", () => choose(kind, entry.name, true));
      }
      list.addEventListener("keydown", (event) => moveFocus(event, record));
      const wanted = memory.get("tab:" + kind);
      show(record, entries.some((entry) => entry.name === wanted) ? wanted : entries[0].name);
    }
  }
  function show(record, name) {
    if (!record.entries.some((entry) => entry.name === name)) return;
    for (const entry of record.entries) {
      const on = entry.name === name;
      entry.button.setAttribute("aria-selected", String(on));
      entry.button.tabIndex = on ? 0 : -1;
      entry.section.hidden = !on;
    }
  }
  function choose(kind, name, remember) {
    for (const record of sets) if (record.kind === kind) show(record, name);
    if (remember) memory.set("tab:" + kind, name);
  }
  function moveFocus(event, record) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const all = record.entries;
    const at = all.findIndex((entry) => entry.button === document.activeElement);
    let to = step === undefined ? -1 : (at + step + all.length) % all.length;
    if (event.key === "Home") to = 0;
    if (event.key === "End") to = all.length - 1;
    if (at < 0 || to < 0) return;
    event.preventDefault();
    choose(record.kind, all[to].name, true);
    all[to].button.focus();
  }

  // ---- packages: search and filters over our own index
  // Paths of pages as the site's builder makes them.
  const plain = /[A-Za-z0-9.-]/;
  const encoder = new TextEncoder();
  const hex = (byte) => "_" + byte.toString(16).padStart(2, "0");
  function slug(text) {
    let out = "";
    for (const c of text) {
      out += plain.test(c) ? c : c === "_" ? "__" : Array.from(encoder.encode(c), hex).join("");
    }
    out = out[0] === "." || out[0] === "-" ? hex(out.charCodeAt(0)) + out.slice(1) : out || "_";
    if (out.length <= 110) return out;
    let hash = 0x811c9dc5;
    for (const c of out) hash = Math.imul(hash ^ c.charCodeAt(0), 0x01000193);
    return out.slice(0, 100) + "_-" + (hash >>> 0).toString(16).padStart(8, "0");
  }
  const pageOf = (category, name) => base + "/packages/" + slug(category) + "/" + (name === "index" ? "_69ndex" : slug(name)) + ".html";
  function matches(index, query) {
    const terms = query.text.toLowerCase().split(/\s+/).filter(Boolean);
    const found = [];
    for (let i = 0; i < index.names.length; i += 1) {
      if (query.category && index.categories[index.category[i]] !== query.category) continue;
      if (!query.sets[index.where[i]]) continue;
      let score = 0;
      for (const term of terms) {
        const part = rank(index, i, term);
        if (!part) { score = -1; break; }
        score += part;
      }
      if (score >= 0) found.push([score, i]);
    }
    found.sort((a, b) => b[0] - a[0] || a[1] - b[1]);
    return found.map((entry) => entry[1]);
  }
  function rank(index, i, term) {
    const name = index.lower[i];
    const human = index.lowerCategories[index.category[i]] + "/" + name;
    if (name === term || human === term) return 100;
    const at = name.indexOf(term);
    if (at === 0) return 60 - Math.min(20, name.length - term.length);
    if (at > 0) return (/[^a-z0-9]/.test(name[at - 1]) ? 35 : 25) - Math.min(10, name.length - term.length) / 10;
    if (human.includes(term)) return 15;
    return index.lowerAbout[i].includes(term) ? 5 : 0;
  }
  function highlight(text, terms) {
    const lower = text.toLowerCase();
    for (const term of terms) {
      const at = lower.indexOf(term);
      if (term && at >= 0) {
        return [text.slice(0, at), make("mark", {}, text.slice(at, at + term.length)), text.slice(at + term.length)];
      }
    }
    return [text];
  }
  // Pages opened as files may not fetch, but may load scripts: the index is there in both forms.
  function loadIndex(path) {
    if (location.protocol === "file:") {
      return new Promise((done, failed) => {
        const script = make("script", { src: path.replace(/json$/, "js") });
        script.addEventListener("load", () => done(globalThis.cosgenIndex));
        script.addEventListener("error", () => failed(new Error("the index is not there")));
        document.head.append(script);
      });
    }
    return fetch(path).then((response) => {
      if (!response.ok) throw new Error("the index does not answer: " + response.status);
      return response.json();
    });
  }
  function search() {
    const form = $("form.search:not(.docs)");
    if (!form) return;
    const field = (name) => form.elements.namedItem(name);
    const list = $(".results");
    const more = $(".more");
    const status = $("#found");
    let index = null;
    let hits = [];
    let shown = 0;
    const row = (i, terms) => {
      const category = index.categories[index.category[i]];
      const item = make("li", {}, make("a", { href: pageOf(category, index.names[i]) }, ...highlight(category + "/" + index.names[i], terms)));
      item.append(make("span", { class: "v" }, index.version[i]));
      if (index.bundles.has(i)) item.append(" ", make("span", { class: "chip" }, "bundle"));
      if (index.about[i]) item.append(make("p", {}, index.about[i]));
      return item;
    };
    const extend = () => {
      const terms = field("q").value.toLowerCase().split(/\s+/).filter(Boolean).sort((a, b) => b.length - a.length);
      list.append(...hits.slice(shown, shown + 50).map((i) => row(i, terms)));
      shown = Math.min(hits.length, shown + 50);
      more.hidden = shown >= hits.length;
    };
    const allowed = () => index.sets.map((set) => set.some((code) => {
      const channel = index.channels[Math.floor(code / index.variants.length)];
      const [flavor, arch] = index.variants[code % index.variants.length];
      return (!field("channel").value || field("channel").value === channel)
        && (!field("flavor") || !field("flavor").value || field("flavor").value === flavor)
        && (!field("arch").value || field("arch").value === arch);
    }));
    const update = () => {
      if (!index) return;
      hits = matches(index, { text: field("q").value, category: field("category").value, sets: allowed() });
      shown = 0;
      list.replaceChildren();
      extend();
      status.textContent = hits.length === 0 ? "No package matches." : hits.length + (hits.length === 1 ? " package" : " packages");
      const query = new URLSearchParams();
      for (const element of form.elements) if (element.name && element.value) query.set(element.name, element.value);
      history.replaceState(null, "", query.toString() ? "?" + query : location.pathname);
    };
    for (const [key, value] of new URLSearchParams(location.search)) {
      const element = field(key);
      if (element) element.value = value;
    }
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", update);
    more.addEventListener("click", () => {
      const first = shown;
      extend();
      const link = list.children[first] && $("a", list.children[first]);
      if (link) link.focus();
    });
    loadIndex(form.dataset.index).then((loaded) => {
      index = loaded;
      index.lower = index.names.map((name) => name.toLowerCase());
      index.lowerAbout = index.about.map((text) => text.toLowerCase());
      index.lowerCategories = index.categories.map((text) => text.toLowerCase());
      index.bundles = new Set(index.bundle);
      update();
    }).catch((error) => { status.textContent = "Search is not available (" + error.message + "). The categories below list every package."; });
  }

  // ---- search of documentation, over the index that mkdocs writes
  function docsSearch() {
    const form = $("form.search.docs");
    if (!form) return;
    const field = form.elements.namedItem("q");
    const list = $(".results");
    const status = $("#found");
    const excerpt = (text, term) => {
      const at = Math.max(0, text.toLowerCase().indexOf(term) - 60);
      return (at ? "…" : "") + text.slice(at, at + 200) + (at + 200 < text.length ? "…" : "");
    };
    const rank = (entry, terms) => {
      let score = 0;
      for (const term of terms) {
        const part = entry.lowerTitle.startsWith(term) ? 20 : entry.lowerTitle.includes(term) ? 10 : entry.lowerText.includes(term) ? 2 : 0;
        if (!part) return 0;
        score += part;
      }
      return score - (entry.location.startsWith("adr/") ? 1 : 0);
    };
    let entries = [];
    const update = () => {
      const terms = field.value.toLowerCase().split(/\s+/).filter(Boolean).sort((a, b) => b.length - a.length);
      const hits = terms.length ? entries.map((entry) => [rank(entry, terms), entry]).filter((hit) => hit[0]) : [];
      hits.sort((a, b) => b[0] - a[0]);
      list.replaceChildren(...hits.slice(0, 40).map(([, entry]) => {
        const link = make("a", { href: base + "/" + entry.location }, ...highlight(entry.title, terms));
        return make("li", {}, link, make("span", { class: "v" }, entry.page === entry.title ? "" : entry.page), make("p", {}, ...highlight(excerpt(entry.text, terms[0]), terms)));
      }));
      status.textContent = !terms.length ? "" : hits.length === 0 ? "Nothing matches." : hits.length + (hits.length === 1 ? " place" : " places");
      history.replaceState(null, "", field.value ? "?" + new URLSearchParams({ q: field.value }) : location.pathname);
    };
    field.value = new URLSearchParams(location.search).get("q") || "";
    form.addEventListener("submit", (event) => event.preventDefault());
    field.addEventListener("input", update);
    field.focus();
    fetch(form.dataset.index).then((response) => response.json()).then((index) => {
      // The entry of a whole page repeats its sections: of it the title alone is searched.
      const page = (entry) => entry.location.split("#")[0];
      const titles = new Map(index.docs.filter((entry) => entry.location === page(entry)).map((entry) => [entry.location, entry.title]));
      entries = index.docs.filter((entry) => entry.location !== page(entry) || !index.docs.some((other) => other !== entry && page(other) === entry.location))
        .map((entry) => ({ ...entry, page: titles.get(page(entry)) || "", text: entry.text.replace(/\s+/g, " "), lowerTitle: entry.title.toLowerCase(), lowerText: entry.text.toLowerCase() }));
      update();
    }).catch((error) => { status.textContent = "Search is not available (" + error.message + ")."; });
  }

  // ---- zoom of the build graph
  function zoom() {
    for (const box of $$(".zoom")) {
      const svg = $("svg", box);
      const frame = $(".frame", box);
      if (!svg) continue;
      const whole = svg.viewBox.baseVal;
      const full = { x: whole.x, y: whole.y, w: whole.width, h: whole.height };
      box.classList.add("live");
      const wide = () => frame.clientWidth || 1000; // a hidden tab has no size yet
      const ratio = () => wide() / (frame.clientHeight || 512);
      const view = { ...full };
      const draw = () => svg.setAttribute("viewBox", [view.x, view.y, view.w, view.h].join(" "));
      const scaleAt = (factor, fx, fy) => {
        const w = Math.min(full.w * 1.5, Math.max(120, view.w * factor));
        const real = w / view.w;
        view.x += view.w * (1 - real) * fx;
        view.y += view.h * (1 - real) * fy;
        view.w = w;
        view.h *= real;
        draw();
      };
      const fit = () => {
        view.w = Math.max(full.w, full.h * ratio());
        view.h = view.w / ratio();
        view.x = full.x - (view.w - full.w) / 2;
        view.y = full.y - (view.h - full.h) / 2;
        draw();
      };
      const keys = make("div", { class: "zoomkeys" });
      const key = (label, name, action) => {
        const button = make("button", { type: "button", class: "icon", "aria-label": name, title: name }, label);
        button.addEventListener("click", action);
        keys.append(button);
      };
      key("+", "Zoom in", () => scaleAt(0.7, 0.5, 0.5));
      key("−", "Zoom out", () => scaleAt(1.4, 0.5, 0.5));
      key("⤢", "Show all", fit);
      box.prepend(keys);
      frame.addEventListener("wheel", (event) => {
        if (!event.ctrlKey && !event.metaKey && document.activeElement !== frame) return;
        event.preventDefault();
        const area = frame.getBoundingClientRect();
        scaleAt(event.deltaY > 0 ? 1.15 : 0.87, (event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height);
      }, { passive: false });
      let held = null;
      frame.addEventListener("pointerdown", (event) => {
        if (event.target.closest("a")) return;
        held = { x: event.clientX, y: event.clientY };
        frame.setPointerCapture(event.pointerId);
        frame.classList.add("moving");
      });
      frame.addEventListener("pointermove", (event) => {
        if (!held) return;
        view.x -= (event.clientX - held.x) * view.w / frame.clientWidth;
        view.y -= (event.clientY - held.y) * view.h / frame.clientHeight;
        held = { x: event.clientX, y: event.clientY };
        draw();
      });
      for (const end of ["pointerup", "pointercancel"]) {
        frame.addEventListener(end, () => { held = null; frame.classList.remove("moving"); });
      }
      frame.addEventListener("keydown", (event) => {
        const moves = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
        if (event.key === "+" || event.key === "=") scaleAt(0.8, 0.5, 0.5);
        else if (event.key === "-") scaleAt(1.25, 0.5, 0.5);
        else if (event.key === "0") fit();
        else if (moves[event.key]) {
          view.x += moves[event.key][0] * view.w;
          view.y += moves[event.key][1] * view.h;
          draw();
        } else return;
        event.preventDefault();
      });
      if (full.w > wide() * 1.5) {
        view.w = wide() * 1.3;
        view.h = view.w / ratio();
        draw();
      } else fit();
    }
  }

  // ---- phones: the section menu starts closed
  function sidebox() {
    const box = $(".sidebox");
    if (box && !matchMedia("(min-width: 56rem)").matches) box.open = false;
  }

  themeSwitch();
  sidebox();
  ages();
  tabs();
  copyButtons();
  search();
  docsSearch();
  zoom();
})();

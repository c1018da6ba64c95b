"""The page's script: what is typed and clicked becomes a request, its answer elements."""

SCRIPT = r"""
"use strict";
const MASK = "[MASK]";
const WORDS =
  /\[MASK\]|\p{Script=Han}|[\p{L}\p{N}\p{M}]+(?:['\u2019\-][\p{L}\p{N}\p{M}]+)*|\s+|./gu;
const PARTS = /\[MASK\]|\p{Script=Han}|[\p{L}\p{N}\p{M}]+|\S/gu;  // closer to tokens
const WHAT = {
  fill: "What may stand at each [MASK], and with what probability.",
  detect: "Which tokens the discriminator holds for replaced: the redder, the more it does.",
  generate: "The model goes on with the text, token by token.",
  masked: "A masked model has no left to right: it fills in all [MASK]s at once, then the " +
    "doubtful ones again (mask-predict). A text without [MASK] gets some at its end.",
};
const texts = {
  fill: "Paris is the [MASK] of France.",
  detect: "Paris is the capital of cheese.",
  generate: "Once upon a time",
};
const results = {};
const $ = (id) => document.getElementById(id);
const words = {};  // of each tab: pieces of its text, and what stood at its masks
let about, tab, pieces;

function make(name, text, classes = "") {
  const element = document.createElement(name);
  element.textContent = text;
  element.className = classes;
  return element;
}

function percent(share) {
  return (100 * share).toFixed(share < 0.0995 ? 2 : 1) + " %";
}

function readWords() {
  const before = pieces.filter((piece) => piece.text === MASK);
  const now = ($("text").value.match(WORDS) || []).map((text) => ({text, was: null}));
  const masks = now.filter((piece) => piece.text === MASK);
  if (masks.length === before.length) masks.forEach((piece, n) => { piece.was = before[n].was; });
  words[tab] = pieces = now;
  texts[tab] = $("text").value;
  showWords();
}

function showWords() {
  $("words").replaceChildren(...pieces.map((piece) => {
    if (!/[\p{L}\p{N}]/u.test(piece.text)) return piece.text;
    const button = make("button", piece.text);
    button.type = "button";
    button.setAttribute("aria-pressed", piece.text === MASK);
    button.disabled = piece.text === MASK && piece.was === null;
    button.onclick = () => toggle(piece, pieces.indexOf(piece));
    return button;
  }));
}

function toggle(piece, place) {
  [piece.text, piece.was] = piece.text === MASK ? [piece.was, null] : [MASK, piece.text];
  $("text").value = texts[tab] = pieces.map((one) => one.text).join("");
  showWords();
  $("words").querySelectorAll("button")[buttonsBefore(place)].focus();
}

function buttonsBefore(place) {
  return pieces.slice(0, place).filter((piece) => /[\p{L}\p{N}]/u.test(piece.text)).length;
}

function choose(name) {
  tab = name;
  for (const one of about.tabs) {
    $("tab-" + one).setAttribute("aria-selected", one === tab);
    $("tab-" + one).tabIndex = one === tab ? 0 : -1;
  }
  const fillsIn = tab === "generate" && !about.is_causal;
  $("what").textContent = WHAT[fillsIn ? "masked" : tab];
  $("panel").setAttribute("aria-labelledby", "tab-" + tab);
  $("maskable").hidden = tab !== "fill" && !fillsIn;
  $("ways").hidden = tab !== "generate" || fillsIn;
  $("filling").hidden = !fillsIn;
  $("go").textContent = $("tab-" + tab).textContent;
  $("text").value = texts[tab];
  pieces = words[tab] || [];
  readWords();
  show();
}

function settings() {
  if (tab !== "generate") return {};
  const number = (id) => $(id).value === "" ? null : Number($(id).value);
  const named = (...ids) => Object.fromEntries(ids.map((id) => [id, number(id)]));
  if (!about.is_causal) return {rounds: number("rounds"), max_new_tokens: number("masks")};
  const way = $("method").value;
  const drawn = named("temperature", "top_p", "seed");
  if (drawn.top_p === null) drawn.temperature ??= 1;  // else nothing says that tokens be drawn
  const more = way === "draw" ? drawn
    : way === "beams" ? named("num_beams", "length_penalty") : {};
  return {...named("max_new_tokens"), ...more};
}

async function ask(event) {
  event.preventDefault();
  if ($("go").getAttribute("aria-disabled") === "true") return;
  const asked = tab, text = texts[tab];
  $("go").setAttribute("aria-disabled", true);  // a disabled button would lose the focus
  try {
    const answer = await fetch(asked, {
      method: "POST",
      headers: {"Content-Type": "application/json"},
      body: JSON.stringify({text, ...settings()}),
    });
    results[asked] = {text, ...await answer.json()};
  } catch {
    results[asked] = {error: "no answer: look whether the command is still running"};
  }
  $("go").setAttribute("aria-disabled", false);
  show();
}

function show() {
  const result = results[tab] || {};
  $("error").hidden = !result.error;
  $("error").textContent = result.error || "";
  $("limit").hidden = !result.pieces;
  const parts = result.masks ? showFillings(result)
    : result.pieces ? showPieces(result)
    : result.method ? showText(result) : [];
  $("result").replaceChildren(...parts);
}

function showFillings({text, masks}) {
  const said = make("p", "", "said"), lists = make("div", "", "fillings");
  text.split(MASK).forEach((part, n) => {
    if (n) said.append(make("span", masks[n - 1] ? masks[n - 1].tokens[0] : MASK, "filled"));
    said.append(part);
  });
  masks.forEach((mask, n) => {
    const list = make("ol", ""), box = make("div", "");
    mask.tokens.forEach((token, rank) => {
      const row = make("li", ""), share = mask.probabilities[rank];
      row.style.setProperty("--share", 100 * share + "%");
      row.append(make("span", token), make("span", percent(share)));
      list.append(row);
    });
    box.append(make("h2", masks.length > 1 ? `[MASK] ${n + 1}` : MASK), list);
    lists.append(box);
  });
  return [said, lists];
}

function showPieces({pieces: found}) {
  const said = make("p", "", "said"), limit = Number($("threshold").value);
  $("from").textContent = limit.toFixed(2);
  const tokens = found.filter((piece) => piece.probability !== null);
  const guilty = tokens.filter((piece) => piece.probability >= limit);
  said.append(...found.map((piece) => {
    if (piece.probability === null) return piece.text;
    const token = make("span", piece.text, "token");
    token.classList.toggle("replaced", piece.probability >= limit);
    token.style.setProperty("--share", 100 * piece.probability + "%");
    token.title = percent(piece.probability);
    return token;
  }));
  const named = guilty.map((piece) => `${piece.text} ${percent(piece.probability)}`).join(", ");
  const count = `${guilty.length} of ${tokens.length} tokens held for replaced`;
  return [said, make("p", named ? `${count}: ${named}` : count, "note")];
}

function showText({prompt, text, continuation, tokens, method, is_ended, score}) {
  const said = make("p", "", "said"), isFilled = method === "mask-predict";
  const added = continuation && text.endsWith(continuation) ? continuation.length : 0;
  const places = isFilled ? filledIn(prompt, text)
    : added ? [[text.length - added, text.length]] : [];
  let done = 0;
  for (const [start, end] of places) {
    said.append(text.slice(done, start));
    said.append(make("span", text.slice(start, end), isFilled ? "filled" : "new"));
    done = end;
  }
  said.append(text.slice(done));
  const how = isFilled ? `${tokens} masks filled in by mask-predict: no text from left to right`
    : `${tokens} tokens, ${method}` + (score === null ? "" : `, score ${score.toFixed(4)}`) +
      (is_ended ? ", ended by the model" : "");
  return [said, make("p", how, "note")];
}

// Where a text has what was filled in: [start, end]s; none unless all else stands as in the prompt.
function filledIn(prompt, text) {
  const asked = prompt.match(PARTS) || [], found = [...text.matchAll(PARTS)];
  const hasMasks = asked.includes(MASK);
  const plain = (word) => word.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  const isSame = (word, n) => word === MASK || plain(word) === plain(found[n][0]);
  if (hasMasks ? asked.length !== found.length : asked.length > found.length) return [];
  if (!asked.every(isSame)) return [];
  return found.filter((one, n) => hasMasks ? asked[n] === MASK : n >= asked.length)
    .map((one) => [one.index, one.index + one[0].length]);
}

function showWay() {
  for (const label of document.querySelectorAll("[data-way]")) {
    label.hidden = label.dataset.way !== $("method").value;
  }
}

async function start() {
  about = await (await fetch("about")).json();
  document.title = `Hearth: ${about.name}`;
  $("name").textContent = about.name;
  const after = about.step === null ? "" : `after step ${about.step} of a run that has not ended, `;
  $("device").textContent = `${after}on ${about.device}, in this machine alone`;
  if (!about.is_causal) texts.generate = "He was [MASK] in [MASK] [MASK] and [MASK] to [MASK].";
  for (const name of about.tabs) {
    $("tab-" + name).hidden = false;
    $("tab-" + name).onclick = () => choose(name);
  }
  $("tabs").onkeydown = (event) => {
    const place = about.tabs.indexOf(tab);
    const next = {ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: -1}[event.key];
    if (next === undefined) return;
    event.preventDefault();
    choose(about.tabs.at(next % about.tabs.length));
    $("tab-" + tab).focus();
  };
  $("text").onkeydown = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("settings").requestSubmit();
  };
  $("text").oninput = readWords;
  $("settings").onsubmit = ask;
  $("method").onchange = showWay;
  $("threshold").oninput = show;
  $("tabs").hidden = $("panel").hidden = false;
  showWay();
  choose(about.tabs[0]);
}

start();
"""

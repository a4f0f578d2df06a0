// The page: asks for the state, listens for changes, draws, and sends what is pressed.
import { el } from "./dom.js";
import { confirmed, modal } from "./dialogs.js";
import { article, isAnswered, isEnded, isLive } from "./messages.js";
import { buttons } from "./blocks.js";

const at = (id) => document.getElementById(id);
const messages = new Map(); // "channel/ts" → message
const names = new Map(); // member or channel id → name
const state = { channels: [], people: [], channel: null, person: null, onlyOpen: false, unseen: 0 };
const tab = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16)).join("");
const key = (message) => `${message.channel}/${message.ts}`;
const you = () => state.people.find((person) => person.id === state.person);

function toast(says, bad) {
  if (!says) return;
  const shown = el("p", { class: bad ? "toast bad" : "toast" }, says);
  at("toasts").append(shown);
  setTimeout(() => shown.remove(), 6000);
}

async function send(path, body) {
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ person: state.person, tab, ...body }),
    });
    return await answer.json();
  } catch {
    return { ok: false, says: "The local chat cannot be reached.", keep_open: true };
  }
}

async function press(message, block, element, more, quietly) {
  if (element.confirm && !(await confirmed(element.confirm, names))) return;
  const pressed = { channel: message.channel, ts: message.ts, block_id: block.block_id, action_id: element.action_id, ...more };
  const controls = [...document.querySelectorAll(`[id="m-${message.channel}-${message.ts}"] button`)];
  if (!quietly) controls.forEach((control) => { control.disabled = true; });
  const outcome = await send("/_page/press", pressed);
  controls.forEach((control) => { control.disabled = false; });
  if (!quietly) toast(outcome.says, !outcome.ok);
}

const inChannel = (channel) =>
  [...messages.values()]
    .filter((one) => one.channel === channel && (!one.ephemeral_for || one.ephemeral_for === state.person))
    .sort((one, other) => Number(one.ts) - Number(other.ts));
const replies = (message) => inChannel(message.channel).filter((one) => one.thread_ts === message.ts);
const node = (message) => document.getElementById(`m-${message.channel}-${message.ts}`);
const drawn = (message) => article(message, replies(message), { names, zone: you().zone, press });
const atBottom = (list) => list.scrollHeight - list.scrollTop - list.clientHeight < 80;

function visible(message) {
  return !state.onlyOpen || isLive(message) || message.channel !== state.channel || !state.channels.some((one) => one.id === message.channel);
}

function emptyNote(list) {
  const none = !list.querySelector("article");
  let note = list.querySelector(".empty");
  const direct = list === at("direct") || state.channel === you().direct;
  const says = direct ? "Nobody was paged yet." : state.onlyOpen ? "Nobody waits." : "Nothing here yet. Cards appear as people write.";
  if (none && !note) list.append(el("p", { class: "empty" }, says));
  if (!none && note) note.remove();
  else if (note) note.textContent = says;
}

function drawList(list, channel) {
  list.replaceChildren(...inChannel(channel).filter((one) => !one.thread_ts && visible(one)).map(drawn));
  emptyNote(list);
  list.scrollTop = list.scrollHeight;
}

function listOf(channel) {
  if (channel === state.channel) return at("messages");
  return channel === you()?.direct ? at("direct") : null;
}

function swap(message, flash) {
  const list = listOf(message.channel);
  if (!list) return;
  const old = node(message);
  const stay = atBottom(list);
  const focused = old?.contains(document.activeElement) ? document.activeElement.dataset.action : null;
  if (!visible(message)) {
    if (!old) return;
    // A moment to see how it ended, then it leaves the list.
    const ended = drawn(message);
    ended.classList.add("leaving");
    old.replaceWith(ended);
    setTimeout(() => { if (!visible(messages.get(key(message)) ?? message)) { ended.remove(); emptyNote(list); } }, 1500);
    return;
  }
  const fresh = drawn(message);
  if (flash) fresh.classList.add(old ? "changed" : "arrived");
  if (old) old.replaceWith(fresh);
  else list.append(fresh);
  if (focused) fresh.querySelector(`[data-action="${CSS.escape(focused)}"]`)?.focus();
  emptyNote(list);
  if (stay) list.scrollTop = list.scrollHeight;
  else if (!old && list === at("messages")) { state.unseen += 1; }
}

// What ended last, wherever it stands: the list itself is usually at its newest card.
function ended(message) {
  const latest = at("latest");
  latest.textContent = message.text;
  latest.href = `#${message.channel}/${message.ts}`;
  latest.hidden = false;
  latest.classList.remove("changed");
  requestAnimationFrame(() => latest.classList.add("changed"));
}

function arrive(message) {
  const before = messages.get(key(message));
  const known = before !== undefined;
  messages.set(key(message), message);
  if (before && isLive(before) && isEnded(message)) ended(message);
  const parent = message.thread_ts ? messages.get(`${message.channel}/${message.thread_ts}`) : null;
  if (message.ephemeral_for && message.ephemeral_for !== state.person) return;
  swap(parent ?? message, true);
  if (!known && !listOf(message.channel)) {
    const channel = [...at("channels").querySelectorAll("button")].find((one) => one.dataset.channel === message.channel);
    channel?.classList.add("unread");
  }
  soon();
}

// Episodes about which somebody was paged again, later: two people at once is no escalation.
function escalated() {
  const first = new Map();
  const again = new Set();
  const pages = [...messages.values()].filter((one) => one.channel.startsWith("D"));
  for (const message of pages.sort((one, other) => Number(one.ts) - Number(other.ts))) {
    for (const { value } of buttons(message.blocks)) {
      if (!first.has(value)) first.set(value, Number(message.ts));
      else if (Number(message.ts) - first.get(value) > 2) again.add(value);
    }
  }
  return again.size;
}

let planned = false;
function soon() {
  if (planned) return;
  planned = true;
  setTimeout(() => { planned = false; counts(); }, 200);
}

function counts() {
  // What somebody practises with is counted nowhere.
  const real = [...messages.values()].filter((one) => !one.text?.startsWith("PRACTICE · "));
  const cards = real.filter((one) => !one.thread_ts && !one.channel.startsWith("D"));
  at("open").textContent = cards.filter(isLive).length;
  at("answered").textContent = cards.filter(isAnswered).length;
  at("escalated").textContent = escalated();
  for (const button of at("channels").querySelectorAll("button")) {
    const waiting = inChannel(button.dataset.channel).filter((one) => !one.thread_ts && (isLive(one) || (button.dataset.direct && !isEnded(one)))).length;
    button.querySelector(".waiting").textContent = waiting || "";
  }
  at("newer").hidden = !state.unseen;
  at("newer").textContent = `${state.unseen} new ↓`;
}

function tabs() {
  const tab = (id, label, direct) =>
    el("li", {}, el("button", {
      type: "button", "data-channel": id, "data-direct": direct, class: direct ? "direct" : "",
      "aria-current": id === state.channel ? "true" : null, onclick: () => choose(id),
    }, el("span", {}, label), el("span", { class: "waiting" })));
  const items = state.channels.map((one) => tab(one.id, `# ${one.name}`, false));
  const person = you();
  if (person) items.push(tab(person.direct, `@ ${person.name}`, true));
  at("channels").replaceChildren(...items);
}

function choose(channel) {
  state.channel = channel;
  state.unseen = 0;
  const named = state.channels.find((one) => one.id === channel);
  at("title").textContent = named ? `# ${named.name}` : `Direct messages to ${you().name}`;
  tabs();
  drawList(at("messages"), channel);
  drawDirect();
  counts();
}

function drawDirect() {
  at("direct-title").textContent = `Direct messages to ${you().name}`;
  const twice = state.channel === you().direct;
  at("direct").closest("aside").hidden = twice;
  if (twice) at("direct").replaceChildren();
  else drawList(at("direct"), you().direct);
}

function become(person) {
  const before = you()?.direct;
  state.person = person;
  localStorage.setItem("person", person);
  choose(state.channel === before ? you().direct : state.channel);
}

function showLinked() {
  const linked = /^#([A-Z0-9]+)\/([\d.]+)$/.exec(location.hash);
  const message = linked && messages.get(`${linked[1]}/${linked[2]}`);
  if (!message) return;
  if (message.channel !== state.channel && message.channel !== you().direct) choose(message.channel);
  const found = node(message);
  found?.scrollIntoView({ block: "center" });
  found?.classList.add("changed");
}

async function load() {
  const all = await (await fetch("/_page/state")).json();
  state.channels = all.channels;
  state.people = all.people;
  messages.clear();
  names.clear();
  for (const one of [...all.channels, ...all.people]) names.set(one.id, one.name);
  for (const message of all.messages) messages.set(key(message), message);
  at("console").hidden = !all.console;
  if (all.console) at("console").href = all.console;
  if (!you()) state.person = localStorage.getItem("person");
  if (!you()) state.person = all.people[0].id;
  at("person").replaceChildren(...all.people.map((one) => el("option", { value: one.id, selected: one.id === state.person }, one.name)));
  choose(state.channel ?? all.channels[0].id);
  showLinked();
}

function happened(change) {
  if (change.type === "message") arrive(change.message);
  else if (change.type === "removed") {
    const gone = messages.get(`${change.channel}/${change.ts}`);
    messages.delete(`${change.channel}/${change.ts}`);
    if (gone) node(gone)?.remove();
    soon();
  } else if (change.type === "view" && change.tab === tab) {
    showView(change);
  }
}

// The modal that is open; an update of it takes its place with what was typed.
let open = null;
function showView({ id, view }) {
  const before = open?.id === id ? open.entered() : null;
  document.querySelector("dialog[open]")?.close("replaced");
  const within = async (block, element, more, values) => {
    const pressed = { view: id, values, block_id: block.block_id, action_id: element.action_id, ...more };
    const outcome = await send("/_page/press", pressed);
    if (!outcome.ok) toast(outcome.says, true);
  };
  const made = modal(view, names, { before, press: within, submit: (values) => send("/_page/submit", { view: id, values }) });
  open = { id, entered: made.entered };
  made.dialog.addEventListener("close", () => {
    if (made.dialog.returnValue === "replaced") return;
    open = null;
    if (view.notify_on_close && made.dialog.returnValue !== "sent") send("/_page/close", { view: id });
  });
}

let waiting = null;
function listen() {
  const source = new EventSource("/_page/events");
  source.addEventListener("open", () => { at("connection").hidden = true; waiting = load(); });
  source.addEventListener("error", () => {
    at("connection").textContent = "The chat has stopped or cannot be reached; trying again …";
    at("connection").hidden = false;
  });
  // What happens while the state is being fetched is shown after it, so that it is never lost.
  source.addEventListener("message", async (event) => { await waiting; happened(JSON.parse(event.data)); });
}

function filter(onlyOpen) {
  state.onlyOpen = onlyOpen;
  at("all").setAttribute("aria-pressed", String(!onlyOpen));
  at("only-open").setAttribute("aria-pressed", String(onlyOpen));
  drawList(at("messages"), state.channel);
}

at("person").addEventListener("change", (event) => become(event.target.value));
at("all").addEventListener("click", () => filter(false));
at("only-open").addEventListener("click", () => filter(true));
at("newer").addEventListener("click", () => { at("messages").scrollTop = at("messages").scrollHeight; });
at("messages").addEventListener("scroll", () => { if (atBottom(at("messages"))) { state.unseen = 0; at("newer").hidden = true; } });
window.addEventListener("hashchange", showLinked);
// For those who hear the page: the counts now and then, not every card.
setInterval(() => {
  const says = `${at("open").textContent} open, ${at("answered").textContent} answered, ${at("escalated").textContent} escalated`;
  if (at("status").textContent !== says) at("status").textContent = says;
}, 10000);
listen();

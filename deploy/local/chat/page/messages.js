// One message: a card, a page, a line beneath a card.
import { el } from "./dom.js";
import { buttons, draw } from "./blocks.js";
import { mrkdwn } from "./mrkdwn.js";

export function isLive(message) {
  return buttons(message.blocks).length > 0;
}

// A card that had buttons and has none any more.
export function isEnded(message) {
  return !isLive(message) && (message.versions ?? 1) > 1;
}

export function isAnswered(message) {
  return isEnded(message) && /^\W*answered/i.test(message.text);
}

function timeOf(ts, zone) {
  const moment = new Date(Number(ts) * 1000);
  const shown = moment.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", timeZone: zone });
  return el("time", { datetime: moment.toISOString(), title: `${zone}` }, shown);
}

export function article(message, replies, { names, zone, press }) {
  const state = isLive(message) ? "live" : isEnded(message) ? "ended" : "still";
  const body = message.blocks?.length
    ? draw(message.blocks, names, (block, element, more, quietly) => press(message, block, element, more, quietly))
    : [el("div", { class: "section" }, ...mrkdwn(message.text ?? "", names))];
  const node = el("article", { class: `message ${state}`, id: `m-${message.channel}-${message.ts}`, "aria-label": message.text || "message" },
    el("div", { class: "avatar", "aria-hidden": "true" }, "P"),
    el("div", { class: "body" },
      el("p", { class: "by" }, el("b", {}, "Presence"), el("span", { class: "app" }, "APP"), timeOf(message.ts, zone),
        message.ephemeral_for ? el("span", { class: "soft" }, "Only visible to you") : null,
        message.edited ? el("span", { class: "soft" }, "edited") : null),
      el("div", { class: "blocks" }, ...body)));
  if (replies.length) {
    const lines = replies.map((reply) => article(reply, [], { names, zone, press }));
    node.querySelector(".body").append(el("section", { class: "thread", "aria-label": "Thread" }, ...lines));
  }
  return node;
}

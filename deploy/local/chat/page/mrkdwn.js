// Slack's mrkdwn: *bold* _italic_ ~strike~ `code` ```block``` > quote <link|label> <@member> :emoji:
import { el, link } from "./dom.js";

const EMOJI = {
  airplane: "✈️", bell: "🔔", bust_in_silhouette: "👤", eyes: "👀", fire: "🔥", heavy_check_mark: "✔️",
  hourglass: "⌛", hourglass_flowing_sand: "⏳", lock: "🔒", no_entry: "⛔", phone: "📞",
  red_circle: "🔴", large_green_circle: "🟢", large_yellow_circle: "🟡", large_orange_circle: "🟠",
  rotating_light: "🚨", speech_balloon: "💬", tada: "🎉", thumbsup: "👍", "+1": "👍",
  warning: "⚠️", wave: "👋", white_check_mark: "✅", x: "❌", zzz: "💤", link: "🔗", memo: "📝",
};

export function unescape(text) {
  return text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
}

export function emojis(text) {
  return text.replace(/:([a-z0-9_+-]+):/g, (all, name) => EMOJI[name] ?? all);
}

function reference(inside, names) {
  const [target, label] = inside.split(/\|(.*)/s);
  if (target.startsWith("@")) {
    return el("span", { class: "mention" }, "@" + (names.get(target.slice(1)) ?? label ?? target.slice(1)));
  }
  if (target.startsWith("#")) {
    return el("span", { class: "mention" }, "#" + (names.get(target.slice(1)) ?? label ?? target.slice(1)));
  }
  if (target.startsWith("!date^")) return label ?? "";
  if (target.startsWith("!")) return el("span", { class: "mention" }, "@" + (label ?? target.slice(1)));
  return link(unescape(target), unescape(label ?? target));
}

const STYLES = [["*", "strong"], ["_", "em"], ["~", "s"]];
const TOKEN = /```([\s\S]+?)```|`([^`\n]+)`|<([^<>\n]+)>|(?<![\p{L}\p{N}])([*_~])(?=\S)([^\n]*?\S)\4(?![\p{L}\p{N}])/u;

function inline(text, names) {
  const nodes = [];
  let rest = text;
  for (let match = TOKEN.exec(rest); match; match = TOKEN.exec(rest)) {
    if (match.index) nodes.push(emojis(unescape(rest.slice(0, match.index))));
    if (match[1] !== undefined) nodes.push(el("pre", {}, unescape(match[1])));
    else if (match[2] !== undefined) nodes.push(el("code", {}, unescape(match[2])));
    else if (match[3] !== undefined) nodes.push(reference(match[3], names));
    else {
      const tag = STYLES.find(([mark]) => mark === match[4])[1];
      nodes.push(el(tag, {}, ...inline(match[5], names)));
    }
    rest = rest.slice(match.index + match[0].length);
    // A block of code ends its own line.
    if (match[1] !== undefined) rest = rest.replace(/^\n/, "");
  }
  if (rest) nodes.push(emojis(unescape(rest)));
  return nodes;
}

export function mrkdwn(text, names) {
  const parts = [];
  let quoted = [];
  const close = () => {
    if (quoted.length) parts.push(el("blockquote", { dir: "auto" }, ...inline(quoted.join("\n"), names)));
    quoted = [];
  };
  let plain = [];
  const flush = () => {
    if (plain.length) parts.push(el("span", { class: "lines", dir: "auto" }, ...inline(plain.join("\n"), names)));
    plain = [];
  };
  for (const line of text.split("\n")) {
    const quote = /^(?:&gt;|>) ?(.*)$/.exec(line);
    if (quote) { flush(); quoted.push(quote[1]); } else { close(); plain.push(line); }
  }
  flush();
  close();
  return parts;
}

// Block Kit, drawn. What Slack would not show is not shown here either.
import { el, link } from "./dom.js";
import { emojis, mrkdwn, unescape } from "./mrkdwn.js";

export function text(object, names) {
  if (!object) return [];
  if (object.type === "mrkdwn") return mrkdwn(object.text, names);
  const shown = unescape(object.text);
  return [el("span", { class: "lines", dir: "auto" }, object.emoji === false ? shown : emojis(shown))];
}

function leaf(one, names) {
  let node;
  if (one.type === "link") node = link(one.url, one.text ?? one.url);
  else if (one.type === "emoji") node = document.createTextNode(emojis(`:${one.name}:`));
  else if (one.type === "user") node = el("span", { class: "mention" }, "@" + (names.get(one.user_id) ?? one.user_id));
  else if (one.type === "channel") node = el("span", { class: "mention" }, "#" + (names.get(one.channel_id) ?? one.channel_id));
  else if (one.type === "broadcast") node = el("span", { class: "mention" }, "@" + one.range);
  else node = document.createTextNode(one.text ?? one.fallback ?? "");
  const style = one.style ?? {};
  for (const [key, tag] of [["code", "code"], ["bold", "strong"], ["italic", "em"], ["strike", "s"]]) {
    if (style[key]) node = el(tag, {}, node);
  }
  return node;
}

const RICH = { rich_text_section: "p", rich_text_quote: "blockquote", rich_text_preformatted: "pre" };

function richPart(part, names) {
  if (part.type === "rich_text_list") {
    const items = part.elements.map((item) => el("li", {}, ...item.elements.map((one) => leaf(one, names))));
    return el(part.style === "ordered" ? "ol" : "ul", {}, ...items);
  }
  return el(RICH[part.type] ?? "p", { class: "lines", dir: "auto" }, ...part.elements.map((one) => leaf(one, names)));
}

function choice(element, names, act) {
  const select = el("select", { "aria-label": element.placeholder?.text ?? "Choose", "data-action": element.action_id });
  select.append(el("option", { value: "" }, element.placeholder?.text ?? "Choose …"));
  for (const option of element.options) select.append(el("option", { value: option.value }, unescape(option.text.text)));
  select.addEventListener("change", () => {
    const chosen = element.options.find((option) => option.value === select.value);
    if (chosen) act(element, { selected_option: chosen });
  });
  return select;
}

function active(element, names, act) {
  if (element.type === "image") return image(element);
  if (element.type !== "button") return choice(element, names, act);
  const label = text(element.text, names);
  const attributes = { class: `press ${element.style ?? ""}`, "data-action": element.action_id };
  if (element.url && /^https?:/i.test(element.url)) {
    const opened = link(element.url, ...label);
    opened.className = "press away";
    opened.dataset.action = element.action_id;
    opened.addEventListener("click", () => act(element, {}, true));
    return opened;
  }
  return el("button", { ...attributes, type: "button", onclick: () => act(element, {}) }, ...label);
}

function image(one) {
  // The page loads nothing from outside: the picture's own words stand for it.
  return el("span", { class: "picture", role: "img", "aria-label": one.alt_text }, "🖼 ", one.alt_text);
}

const DRAW = {
  header: (block, names) => el("h3", {}, ...text(block.text, names)),
  divider: () => el("hr"),
  image: (block) => image(block),
  context: (block, names) =>
    el("div", { class: "context" }, ...block.elements.map((one) => (one.type === "image" ? image(one) : el("span", {}, ...text(one, names))))),
  actions: (block, names, act) => el("div", { class: "actions" }, ...block.elements.map((one) => active(one, names, act))),
  rich_text: (block, names) => el("div", { class: "rich" }, ...block.elements.map((part) => richPart(part, names))),
  section: (block, names, act) =>
    el("div", { class: "section" },
      el("div", { class: "grow" },
        block.text ? el("div", {}, ...text(block.text, names)) : null,
        block.fields ? el("div", { class: "fields" }, ...block.fields.map((one) => el("div", {}, ...text(one, names)))) : null),
      block.accessory ? active(block.accessory, names, act) : null),
};

// `press(block, element, more, quietly)` is called for what is pressed.
export function draw(blocks, names, press) {
  return blocks
    .filter((block) => DRAW[block.type])
    .map((block) => DRAW[block.type](block, names, (element, more, quietly) => press(block, element, more, quietly)));
}

export function buttons(blocks) {
  return (blocks ?? [])
    .flatMap((block) => [...(block.type === "actions" ? block.elements : []), block.accessory])
    .filter((element) => element && element.type === "button" && !element.url);
}

// Modals with inputs, and the question before a press that asks for one.
import { el } from "./dom.js";
import { draw, text } from "./blocks.js";
import { unescape } from "./mrkdwn.js";

function show(dialog) {
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
  return dialog;
}

export function confirmed(question, names) {
  return new Promise((resolve) => {
    const dialog = el("dialog", { class: "dialog", "aria-labelledby": "question" },
      el("h2", { id: "question" }, ...text(question.title, names)),
      el("div", {}, ...text(question.text, names)),
      el("div", { class: "actions end" },
        el("button", { type: "button", class: "press", onclick: () => dialog.close("no") }, ...text(question.deny, names)),
        el("button", { type: "button", class: `press ${question.style ?? "primary"}`, onclick: () => dialog.close("yes") }, ...text(question.confirm, names))));
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"));
    show(dialog);
  });
}

let count = 0;

// Radio buttons and checkboxes: a named group of real ones.
function group(element, id, required, names) {
  const kind = element.type === "checkboxes" ? "checkbox" : "radio";
  const before = (element.initial_options ?? [element.initial_option]).map((one) => one?.value);
  const boxes = element.options.map((option) =>
    el("input", { type: kind, name: id, value: option.value, checked: before.includes(option.value), required: required && kind === "radio" }));
  const lines = boxes.map((box, index) => el("label", { class: "choice" }, box, ...text(element.options[index].text, names)));
  const chosen = () => element.options.filter((_, index) => boxes[index].checked);
  const value = () => kind === "checkbox"
    ? { type: element.type, selected_options: chosen() }
    : { type: element.type, selected_option: chosen()[0] ?? null };
  return { control: el("div", { id, role: "group" }, ...lines), value };
}

function input(block, names, before) {
  // What was typed stays where the block kept its name, as in Slack.
  const typed = before?.[block.block_id]?.[block.element.action_id ?? "input"];
  const element = typed?.value ? { ...block.element, initial_value: typed.value } : block.element;
  const id = `input-${(count += 1)}`;
  let control;
  let grouped = null;
  if (element.type === "radio_buttons" || element.type === "checkboxes") {
    grouped = group(element, id, !block.optional, names);
    control = grouped.control;
    control.setAttribute("aria-labelledby", `${id}-label`);
  } else if (element.type === "plain_text_input") {
    const attributes = { id, maxlength: element.max_length, minlength: element.min_length, placeholder: element.placeholder?.text, required: !block.optional };
    control = el(element.multiline ? "textarea" : "input", { ...attributes, rows: element.multiline ? 4 : null });
    control.value = element.initial_value ?? "";
  } else {
    control = el("select", { id, required: !block.optional });
    control.append(el("option", { value: "" }, element.placeholder?.text ?? "Choose …"));
    for (const option of element.options) {
      const chosen = element.initial_option?.value === option.value;
      control.append(el("option", { value: option.value, selected: chosen }, unescape(option.text.text)));
    }
  }
  const error = el("p", { class: "error", id: `${id}-error`, hidden: true });
  control.setAttribute("aria-describedby", error.id);
  const field = el("div", { class: "field" },
    el(grouped ? "span" : "label", { class: "label", id: `${id}-label`, for: grouped ? null : id }, ...text(block.label, names), block.optional ? el("span", { class: "soft" }, " (optional)") : null),
    control,
    block.hint ? el("p", { class: "soft" }, ...text(block.hint, names)) : null,
    error);
  const value = () => {
    if (grouped) return grouped.value();
    if (element.type === "plain_text_input") return { type: element.type, value: control.value || null };
    const option = element.options.find((one) => one.value === control.value) ?? null;
    return { type: element.type, selected_option: option };
  };
  return { field, value, blockId: block.block_id, actionId: element.action_id ?? "input", error };
}

// `submit(values)` answers like the server: {ok, says, errors, keep_open}. `press(block, element, more, values)`
// is called for what is pressed within. `before` holds the values of the view that this one replaces.
export function modal(view, names, { submit, press, before }) {
  const inputs = [];
  const entered = () => {
    const values = {};
    for (const one of inputs) (values[one.blockId] ??= {})[one.actionId] = one.value();
    return values;
  };
  const parts = view.blocks.map((block, index) => {
    const named = { block_id: `b${index}`, ...block };
    if (block.type !== "input") return draw([named], names, (_, element, more) => press(named, element, more, entered()))[0];
    const made = input(named, names, before);
    inputs.push(made);
    return made.field;
  });
  const trouble = el("p", { class: "error", role: "alert", hidden: true });
  const send = view.submit ? el("button", { class: "press primary" }, ...text(view.submit, names)) : null;
  const form = el("form", {},
    ...parts, trouble,
    el("div", { class: "actions end" },
      el("button", { type: "button", class: "press", onclick: () => dialog.close() }, view.close ? view.close.text : "Close"),
      send));
  const dialog = el("dialog", { class: "dialog", "aria-labelledby": "modal-title" }, el("h2", { id: "modal-title" }, ...text(view.title, names)), form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    const answer = await submit(entered());
    send.disabled = false;
    for (const one of inputs) {
      one.error.textContent = answer.errors?.[one.blockId] ?? "";
      one.error.hidden = !one.error.textContent;
    }
    trouble.textContent = answer.ok || answer.errors ? "" : answer.says;
    trouble.hidden = !trouble.textContent;
    if (!answer.keep_open) dialog.close("sent");
  });
  return { dialog: show(dialog), entered };
}

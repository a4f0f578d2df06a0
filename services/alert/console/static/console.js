// Renews the list while somebody looks at it, and never under their hands: not in a hidden tab, not
// while something inside has the focus or is selected. Without JavaScript the page just stays.
"use strict";
const list = document.getElementById("list");
const seconds = Number(list.dataset.refreshSeconds);

function busy() {
  return document.hidden || list.contains(document.activeElement) || !getSelection().isCollapsed;
}

async function renew() {
  if (busy()) return;
  const answer = await fetch("/", { headers: { accept: "text/html" }, redirect: "error" });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("list");
  if (fresh && !busy()) {
    list.replaceChildren(...fresh.childNodes);
    document.title = page.title;
  }
}

setInterval(() => renew().catch(() => {}), seconds * 1000);
document.addEventListener("visibilitychange", () => renew().catch(() => {}));

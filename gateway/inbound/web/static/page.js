// Keeps the page fresh: listens for changes, fetches the part that lives and puts in only what differs. Without it a reload does the same.
"use strict";

(() => {
  const live = document.getElementById("live");
  const pulse = document.getElementById("pulse");
  if (!live || !live.dataset.events) return;

  const part = new URL(location.href);
  part.searchParams.set("part", "live");
  part.hash = "";
  let source = null;
  let busy = false;
  let asked = false;

  const say = (connected) => {
    const text = connected ? pulse.dataset.on : pulse.dataset.off;
    if (pulse.textContent !== text) pulse.textContent = text;
    pulse.classList.toggle("off", !connected);
    pulse.hidden = false;
  };

  /** Make `was` what `is` says, touching only what differs, so that focus, selection and what was unfolded stay. Keyed by id, else by kind. */
  const settle = (was, is) => {
    if (was.isEqualNode(is)) return;
    if (was.nodeType !== Node.ELEMENT_NODE) {
      was.nodeValue = is.nodeValue;
      return;
    }
    for (const { name } of [...was.attributes]) {
      if (!is.hasAttribute(name) && name !== "open") was.removeAttribute(name);
    }
    for (const { name, value } of is.attributes) {
      if (was.getAttribute(name) !== value) was.setAttribute(name, value);
    }
    const known = new Map([...was.children].filter((child) => child.id).map((child) => [child.id, child]));
    let place = was.firstChild;
    for (const fresh of [...is.childNodes]) {
      let mate = fresh.id ? known.get(fresh.id) : place;
      while (mate && !fresh.id && (mate.id || mate.nodeName !== fresh.nodeName)) mate = mate.nextSibling;
      if (!mate) {
        was.insertBefore(fresh, place);
        continue;
      }
      if (mate !== place) was.insertBefore(mate, place);
      const row = /^(rdg|sub)_/.test(fresh.id ?? "");
      if (row) mate.classList.remove("changed");
      const changed = row && !mate.isEqualNode(fresh);
      settle(mate, fresh);
      if (changed) mate.classList.add("changed");
      place = mate.nextSibling;
    }
    while (place) {
      const next = place.nextSibling;
      place.remove();
      place = next;
    }
  };

  /** Settle, and keep the focus: a node that had to move loses it, and one that went leaves it to what stands in its row. */
  const keep = (fresh) => {
    const held = document.activeElement;
    const home = live.contains(held) ? held.closest("[id]").id : "";
    settle(live, fresh);
    if (!home || document.activeElement === held) return;
    const heir = held.isConnected ? held : document.getElementById(home)?.querySelector("a, button, summary");
    heir?.focus({ preventScroll: true });
  };

  /** One fetch at a time; what is asked meanwhile is one more afterwards. */
  const refresh = async () => {
    asked = true;
    if (busy) return;
    busy = true;
    try {
      while (asked) {
        asked = false;
        const answer = await fetch(part, { cache: "no-store", credentials: "same-origin" });
        if (!answer.ok) throw new Error(String(answer.status));
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").body;
        const holder = live.cloneNode(false);
        holder.append(...fresh.childNodes);
        keep(holder);
      }
      say(source === null || source.readyState !== EventSource.CLOSED);
    } catch {
      say(false);
    } finally {
      busy = false;
    }
  };

  const listen = () => {
    if (source && source.readyState !== EventSource.CLOSED) return;
    source = new EventSource(live.dataset.events);
    source.addEventListener("open", () => {
      say(true);
      refresh();
    });
    source.addEventListener("changed", refresh);
    source.addEventListener("error", () => say(false));
  };
  const leave = () => {
    if (source) source.close();
    source = null;
  };

  // A reading that waits may go out without an event of its own, and a server that refused to be listened to is asked again.
  setInterval(() => {
    if (document.hidden) return;
    if (live.querySelector("[data-waits]")) refresh();
    listen();
  }, 3000);
  document.addEventListener("visibilitychange", () => (document.hidden ? leave() : listen()));
  addEventListener("pagehide", leave);
  listen();
})();

"use strict";
(() => {
  const live = document.getElementById("live");
  const stale = document.getElementById("stale");
  const QUIET = 8000;
  let heardAt = performance.now();

  const say = (text) => {
    if (stale.textContent !== text) stale.textContent = text;
    stale.hidden = text === "";
    live.classList.toggle("old", text !== "");
  };

  // The viewer's own time, on hover.
  const local = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
  const localise = () => {
    for (const time of document.querySelectorAll("time")) {
      const text = local.format(new Date(time.dateTime));
      if (time.title !== text) time.title = text;
    }
  };

  // A morph takes away what the server did not send: keep the titles.
  Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) =>
    !(name === "title" && node.tagName === "TIME");

  live.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden) event.preventDefault();
  });
  live.addEventListener("htmx:afterSettle", localise);
  live.addEventListener("htmx:afterRequest", (event) => {
    const status = event.detail.xhr ? event.detail.xhr.status : 0;
    if (event.detail.successful) {
      heardAt = performance.now();
      say("");
    } else {
      say(status === 401 ? stale.dataset.ended : stale.dataset.gone);
    }
  });
  document.addEventListener("visibilitychange", () => {
    heardAt = performance.now();
    if (!document.hidden) htmx.trigger(live, "refresh");
  });
  setInterval(() => {
    const silence = performance.now() - heardAt;
    if (!document.hidden && silence > QUIET && stale.hidden) say(stale.dataset.gone);
  }, 1000);
  localise();
})();

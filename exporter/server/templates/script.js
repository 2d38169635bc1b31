"use strict";
(() => {
  const box = document.querySelector("input[data-live]");
  if (!box) return;
  const items = [...document.querySelectorAll("[data-text]")];
  const groups = [...document.querySelectorAll("[data-group]")];
  const said = document.querySelector("[data-count]");
  const search = () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const item of items) item.hidden = !words.every((word) => item.dataset.text.includes(word));
    for (const group of groups) {
      const found = [...group.querySelectorAll("[data-text]")].filter((item) => !item.hidden).length;
      group.hidden = found === 0;
      if (group.tagName === "DETAILS" && words.length) group.open = found > 0;
    }
    const count = items.filter((item) => !item.hidden).length;
    if (said) said.textContent = words.length ? `${count} of ${items.length} KPIs` : `${items.length} KPIs`;
    const address = new URL(location.href);
    if (words.length) address.searchParams.set("q", box.value.trim());
    else address.searchParams.delete("q");
    history.replaceState(null, "", address);
  };
  box.addEventListener("input", search);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target instanceof HTMLElement && event.target.closest("input, select, textarea")) return;
    event.preventDefault();
    box.focus();
    box.select();
  });
})();

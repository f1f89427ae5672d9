"use strict";
/* Dark or light: as the system is, until the reader says otherwise; paper is white. */
(() => {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const show = (theme) => {
    root.dataset.theme = theme;
    button.textContent = theme === "dark" ? "Light" : "Dark";
  };
  const flip = () => show(root.dataset.theme === "dark" ? "light" : "dark");
  show(system.matches ? "dark" : "light");
  system.addEventListener("change", () => show(system.matches ? "dark" : "light"));
  button.addEventListener("click", flip);
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "d" && !event.ctrlKey && !event.metaKey && !event.altKey) flip();
  });
  let before = "light";
  window.addEventListener("beforeprint", () => { before = root.dataset.theme; show("light"); });
  window.addEventListener("afterprint", () => show(before));
})();

/* Questions in a dialog: yes or no, or a text. */

/** Resolves to true or false; with `value`, to the text or null. */
export function question(text, {yes = "Yes", value = null} = {}) {
  const dialog = $("#question");
  $("#question-text").textContent = text;
  $("#question-yes").textContent = yes;
  $("#question-entry").hidden = value === null;
  $("#question-input").value = value ?? "";
  dialog.returnValue = "";
  dialog.showModal();
  if (value !== null) $("#question-input").select();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const agreed = dialog.returnValue === "yes";
      resolve(value === null ? agreed : agreed ? $("#question-input").value.trim() : null);
    }, {once: true});
  });
}

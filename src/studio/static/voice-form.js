/* The form of one singer's edit. Fields that change nothing are not sent. */

const NUMBERS = [ // [field, label, least, most, step, unit, value that changes nothing]
  ["transpose", "Transpose", -12, 12, 1, "semitones", 0],
  ["vibrato", "Vibrato", 0, 3, 0.1, "times", 1],
  ["formants", "Formants", -6, 6, 0.5, "semitones", 0],
  ["gain", "Gain", -40, 12, 1, "dB", 0],
];
const MORE = [
  ["cents", "Fine", -100, 100, 1, "cents", 0],
  ["harmonics", "Tone", -40, 12, 1, "dB", 0],
  ["noise", "Breath", -40, 12, 1, "dB", 0],
];
const INTONATIONS = {"": "as sung", equal: "equal", just: "just", scale: "a scale"};

let made = 0;

function buildNumber([field, label, min, max, step, unit, none], edit) {
  const id = `edit-${++made}`;
  const value = edit[field] ?? none;
  const range = make("input", {type: "range", min, max, step, value, attributes: {"aria-label": `${label}, ${unit}`}});
  const number = make("input", {type: "number", id, min, max, step: "any", value});
  number.dataset.field = field;
  number.dataset.none = none;
  range.addEventListener("input", () => (number.value = range.value));
  number.addEventListener("input", () => (range.value = number.value));
  return make("div", {className: "field slide"}, make("label", {htmlFor: id, textContent: label}), range, number,
    make("span", {className: "soft unit", textContent: unit}));
}

function buildSelect(label, field, options, value) {
  const id = `edit-${++made}`;
  const select = make("select", {id}, ...options.map(([key, text]) => new Option(text, key)));
  select.dataset.field = field;
  select.value = value;
  return make("div", {className: "field row"}, make("label", {htmlFor: id, textContent: label}), select);
}

function buildText(label, field, value, placeholder) {
  const id = `edit-${++made}`;
  const input = make("input", {type: "text", id, value, placeholder, autocomplete: "off"});
  input.dataset.field = field;
  return make("div", {className: "field row"}, make("label", {htmlFor: id, textContent: label}), input);
}

/** A card with the fields of a voice. */
export function buildVoice(name, edit, singers) {
  const intonation = typeof edit.intonation === "string" ? {to: edit.intonation} : edit.intonation ?? {};
  const known = !intonation.to || intonation.to in INTONATIONS;
  const others = singers.filter((singer) => singer !== name);
  const title = make("legend", {textContent: edit.copy_of ? `${name} (made of ${edit.copy_of})` : name});
  const key = buildText("Tonic or scale", "intonation.key", (known ? intonation.key : intonation.to) ?? "", "D, or D major");
  const strength = buildNumber(["intonation.strength", "Strength", 0, 1, 0.05, "0 to 1", 1],
    {"intonation.strength": intonation.strength ?? 1});
  const to = buildSelect("Intonation", "intonation.to", Object.entries(INTONATIONS), known ? intonation.to ?? "" : "scale");
  const select = to.querySelector("select");
  const fold = () => {
    key.hidden = !["just", "scale"].includes(select.value);
    strength.hidden = !select.value;
  };
  select.addEventListener("input", fold);
  fold();
  const colour = buildSelect("Colour of", "timbre", [["", "its own"], ...others.map((other) => [other, other])], edit.timbre ?? "");
  const more = make("details", {}, make("summary", {textContent: "More"}), ...MORE.map((number) => buildNumber(number, edit)),
    buildNumber(["degrees", "Degrees", -7, 7, 1, "of the scale", 0], edit),
    buildText("Scale", "scale", edit.scale ?? "", "D major"));
  more.dataset.voice = name;
  const card = make("fieldset", {className: "voice"}, title, ...NUMBERS.map((number) => buildNumber(number, edit)),
    to, key, strength, colour);
  if (others.length && !edit.copy_of) {
    const swap = buildSelect("Swap colours", "", [["", "with …"], ...others.map((other) => [other, other])], "");
    swap.querySelector("select").className = "swap-voices";
    swap.addEventListener("input", (event) => event.stopPropagation());
    card.append(swap);
  }
  card.append(more);
  if (edit.copy_of) card.append(make("button", {type: "button", className: "drop-voice danger", textContent: "Remove this voice"}));
  card.dataset.voice = name;
  card.dataset.copyOf = edit.copy_of ?? "";
  return card;
}

/** The fields of a card that change something. */
export function readVoice(card) {
  const edit = {};
  const intonation = {};
  if (card.dataset.copyOf) edit.copy_of = card.dataset.copyOf;
  for (const input of card.querySelectorAll("[data-field]")) {
    const {field, none} = input.dataset;
    if (!field) continue;
    let value = input.value.trim();
    if (none !== undefined) {
      value = value === "" ? Number(none) : Number(value);
      if (value === Number(none)) continue;
    } else if (!value) continue;
    if (field.startsWith("intonation.")) intonation[field.slice(11)] = value;
    else edit[field] = value;
  }
  if (intonation.to) {
    if (intonation.to === "scale") intonation.to = intonation.key ?? "";
    if (intonation.to !== "just") delete intonation.key;
    if (intonation.to) edit.intonation = intonation; // a scale that is not yet named changes nothing
  }
  return edit;
}

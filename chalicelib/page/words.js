// Texts in the reader's language: sentences by key, moments, lengths of time. Knows no customer and no rule.

import { HOME, send } from "./network.js";
import { signal } from "./view.js";

export const GIVEN = JSON.parse(document.getElementById("given").textContent);
export const LANGUAGES = { en: "English", zh: "中文" };
export const TAGS = { en: "en", zh: "zh-CN" };
const LANGUAGE_KEPT = "customer-pool.language";
const texts = {}; // by language
const wordParts = new Set();
const loadedTexts = new Set();

export const language = signal(chosenLanguage());

function chosenLanguage() {
  const chosen = localStorage.getItem(LANGUAGE_KEPT) ?? (navigator.language.startsWith("zh") ? "zh" : "en");
  return chosen in LANGUAGES ? chosen : "en";
}

/** Load the texts of a language: nothing can be shown before. Their address never changes, so browsers keep them. */
export async function loadWords(code = language.value) {
  await Promise.all(["", ...wordParts].map((part) => loadTexts(code, part)));
}

/** Load the texts of a part too, in this language and in each that is chosen later. */
export async function loadWordsOf(part) {
  await loadTexts(language.value, `-${part}`);
  wordParts.add(`-${part}`);
}

async function loadTexts(code, part) {
  if (loadedTexts.has(code + part)) return;
  const answer = await send(fileAddress(`${code}${part}.json`), { cache: "default" });
  const words = await answer.json(); // before the texts are read: another part may arrive meanwhile
  texts[code] = { ...texts[code], ...words };
  loadedTexts.add(code + part);
}

/** The address of a file of the console by its short name, such as `en.json`. */
export function fileAddress(name) {
  return new URL(`console/${GIVEN.files[name]}`, HOME);
}

export async function speak(code) {
  await loadWords(code);
  localStorage.setItem(LANGUAGE_KEPT, code);
  language.value = code;
}

/** The sentence of that key. `{name}` stands for a value, `{count:row/rows}` for a number with its noun. */
export function say(key, values = {}) {
  const sentence = texts[language.value][key];
  if (sentence === undefined) throw new Error(`no words for ${key}`);
  return sentence.replace(/\{(\w+)(?::([^/}]*)\/([^}]*))?\}/g, (_, name, one, many) => {
    const value = values[name] ?? "";
    return many === undefined ? String(value) : `${number(value)} ${value === 1 ? one : many}`;
  });
}

/** Whether there are words for that key. */
export function sayable(key) {
  return key in texts[language.value];
}

export function tag() {
  return TAGS[language.value];
}

export function number(value) {
  return new Intl.NumberFormat(tag()).format(value);
}

export function moment(text) {
  return new Intl.DateTimeFormat(tag(), { dateStyle: "medium", timeStyle: "short" }).format(new Date(text));
}

/** A moment in so few words as are enough today: the time, or the day. */
export function shortMoment(text) {
  const at = new Date(text);
  const today = at.toDateString() === new Date().toDateString();
  const style = today ? { timeStyle: "short" } : { month: "short", day: "numeric" };
  return new Intl.DateTimeFormat(tag(), style).format(at);
}

export function day(text) {
  const style = { month: "short", day: "numeric", timeZone: "UTC" };
  return new Intl.DateTimeFormat(tag(), style).format(new Date(`${text}T00:00:00Z`));
}

export const UNITS = { W: 604_800_000, D: 86_400_000, H: 3_600_000, M: 60_000, S: 1000 };

/** A length in its two largest units, 6 d 23 h, or in fewer where that is enough. */
export function length(ms, most = 2, finest = "S") {
  let left = Math.max(0, ms);
  const parts = [];
  for (const unit of ["D", "H", "M", "S"]) {
    const many = Math.floor(left / UNITS[unit]);
    left -= many * UNITS[unit];
    if (many > 0 || parts.length > 0 || unit === finest) parts.push(say(`unit.${unit}`, { n: number(many) }));
    if (unit === finest) break;
  }
  return parts.slice(0, most).join(" ");
}

export function since(text) {
  return length(Date.now() - new Date(text), 1, "M");
}

/** Milliseconds of an ISO 8601 length such as P7D or PT15M. */
export function milliseconds(iso) {
  const parts = /^P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$/.exec(iso) ?? [];
  return ["W", "D", "H", "M", "S"].reduce((sum, unit, i) => sum + Number(parts[i + 1] ?? 0) * UNITS[unit], 0);
}

/** Why something was refused, in words, with its limit and its end where it has one. */
export function reason(refusal) {
  const key = `refusal.${refusal.code}`;
  const words = [sayable(key) ? say(key) : refusal.detail ?? say("refusal.unknown")];
  if (refusal.limit !== undefined && refusal.used !== undefined) {
    words.push(say("refusal.of_limit", { used: number(refusal.used), limit: number(refusal.limit) }));
  }
  if (refusal.retry_at) {
    const until = `until.${refusal.code}`;
    words.push(say(sayable(until) ? until : "until.any", { when: moment(refusal.retry_at) }));
  }
  if (refusal.errors) {
    // The errors already show that the request is not valid.
    if (refusal.code === "invalid_request") words.length = 0;
    words.push(say("refusal.errors", { errors: refusal.errors.map(withLabel).join(say("refusal.apart")) }));
  }
  return words.join(language.value === "zh" ? "" : " ");
}

/** An error of the service begins with the path of a member, or with several; a person knows them by their labels. */
function withLabel(error) {
  const found = /^(?:fields\.)?(\w+(?:, \w+)*)(: |：)(.*)$/s.exec(error);
  const labels = found && found[1].split(", ").map((key) => ["field", "rule", "follow_up", "verb"].map((kind) => `${kind}.${key}`).find(sayable));
  return labels?.every(Boolean) ? `${labels.map((label) => say(label)).join(" / ")}${found[2]}${found[3]}` : error;
}

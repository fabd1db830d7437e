// Dialogs: native ones, which keep the focus inside and close with Escape. The focus goes back to what was pressed.

import { dropDraft, keepDraft, restoreDraft, valuesOf } from "./drafts.js";
import { keptFocus } from "./focus.js";
import { refusalOf } from "./requests.js";
import { html, signal, useLayoutEffect, useRef, useState } from "./view.js";
import { reason, say } from "./words.js";

const openDialogs = signal([]);
let dialogCount = 0;

/** Open a dialog with the content of `component`, which gets these properties and `close`. `only` replaces its like. */
export function openDialog(options) {
  dialogCount += 1;
  const made = { ...options, id: dialogCount, from: keptFocus(document.activeElement) };
  openDialogs.value = [...openDialogs.value.filter((each) => !options.only || each.only !== options.only), made];
}

/** A dialog with a form: `body` above the buttons, `act(values)` on the `verb`. A refusal is shown, and the dialog stays. */
export function openForm(options) {
  openDialog({ ...options, component: FormDialog });
}

/** Close what belongs to a page that is no longer shown. */
export function closeDialogs(except = "link") {
  openDialogs.value = openDialogs.value.filter((each) => each.only === except);
}

export function Dialogs() {
  return openDialogs.value.map((each) => html`<${Dialog} key=${each.id} about=${each}
    close=${() => { openDialogs.value = openDialogs.value.filter((other) => other !== each); }}/>`);
}

function Dialog({ about, close }) {
  const { component: Content, title, kind = "", from } = about;
  return html`<${ModalDialog} title=${title} kind=${kind} close=${close} from=${from}>
    <${Content} ...${about} close=${close}/></${ModalDialog}>`;
}

/** A native dialog that is open as long as it is rendered. Escape closes it: a locked one opens again. */
export function ModalDialog({ title, kind = "", close, from = null, locked = false, head = null, children }) {
  const host = useRef();
  useLayoutEffect(() => {
    const back = from ?? keptFocus(document.activeElement);
    host.current.showModal();
    return () => { setTimeout(back); };
  }, []);
  return html`<dialog ref=${host} class=${kind} aria-labelledby="dialog-title" onClose=${() => (locked ? host.current.showModal() : close())}>
    <div class="dialog-head"><h2 id="dialog-title">${title}</h2>${head}
      ${!locked && html`<button type="button" class="quiet" aria-label=${say("close")} onClick=${() => close()}>✕</button>`}</div>
    ${children}
  </dialog>`;
}

function FormDialog({ body, verb, verbKind = "main", act, draft, close }) {
  return html`<${Form} verb=${verb} kind=${verbKind} draft=${draft} cancel=${close}
    act=${async (values) => { await act(values); close(); }}>${body}</${Form}>`;
}

/** A form whose text is kept under `draft` until it is sent. Ctrl+Enter sends it from anywhere. `focused`: its first field gets
 * the focus. */
export function Form({ children, verb, kind = "main", act, draft = null, cancel = null, focused = true }) {
  const form = useRef();
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState(null);
  useLayoutEffect(() => {
    if (draft) restoreDraft(form.current, draft);
    const first = form.current.querySelector("input:not([type=hidden]), select, textarea");
    if (focused) queueMicrotask(() => first?.focus()); // the dialog around it is open only after this effect
  }, []);
  const submit = async (event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setWrong(null);
    try {
      await act(valuesOf(form.current));
      if (draft) dropDraft(draft);
    } catch (error) {
      setWrong(reason(refusalOf(error)));
    } finally {
      setBusy(false);
    }
  };
  const keys = (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.current.requestSubmit(); };
  const state = busy ? { "aria-busy": "true", "aria-disabled": "true" } : {};
  return html`<form ref=${form} onSubmit=${submit} onKeyDown=${keys} onInput=${() => draft && keepDraft(form.current, draft)}>
    ${children}
    <p class="refused" role="alert">${wrong}</p>
    <div class="buttons">
      ${cancel && html`<button type="button" onClick=${() => cancel()}>${say("cancel")}</button>`}
      <button type="submit" class=${kind} ...${state}>${verb}</button>
    </div>
  </form>`;
}

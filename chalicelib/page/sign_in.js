// The sign-in page: where no token is known yet. One comes from the company's own sign-in, or is pasted here.

import { Button } from "./components.js";
import { closeDialogs, ModalDialog } from "./dialogs.js";
import { dropDrafts } from "./drafts.js";
import { start } from "./now.js";
import { fromPart } from "./parts_loaded.js";
import { session } from "./session.js";
import { html, useRef, useState } from "./view.js";
import { GIVEN, language, LANGUAGES, say, speak, TAGS } from "./words.js";

export function SignInPage() {
  return html`<main class="door">
    <div class="door-head"><h1>${say("title")}</h1><${LanguageChoice}/></div>
    <p class="quiet-text">${say("sign_in.about")}</p>
    <${SignIn}/>
  </main>`;
}

/** The same over a page whose session has ended: what is typed there stays. */
export function SignInAgain() {
  return html`<${ModalDialog} title=${say("sign_in.again", { user: session.user })} locked close=${() => {}}>
    <div class="door"><${SignIn}/>
      <button type="button" class="quiet" onClick=${signOut}>${say("sign_out")}</button></div>
  </${ModalDialog}>`;
}

function SignIn() {
  const cause = [session.refused, session.failed, session.ended, language.value].join(" ");
  const [typed, setTyped] = useState({ cause, wrong: null });
  // A later reason of the session replaces the message about the typed token.
  const wrong = typed.cause === cause && typed.wrong !== null ? typed.wrong : signInWords();
  const setWrong = (words) => setTyped({ cause, wrong: words });
  const leave = () => fromPart("company", "leaveToSignIn").then((leaveNow) => leaveNow()).catch(() => setWrong(say("sign_in.away")));
  const given = GIVEN.signIn !== null;
  return html`<p class="refused" role="alert">${wrong}</p>
    ${given && html`<${Button} kind="main" act=${leave}>${say("sign_in.leave")}</${Button}>`}
    ${given ? html`<details><summary>${say("sign_in.otherwise")}</summary><${TokenForm} fail=${setWrong}/></details>`
      : html`<${TokenForm} fail=${setWrong} main/>`}`;
}

/** Pasting a token is for those who have no other way. */
function TokenForm({ fail, main }) {
  const pasted = useRef();
  const submit = (event) => {
    event.preventDefault();
    if (!session.begin(pasted.current.value.trim())) return fail(say("sign_in.no_token"));
    if (!session.loaded) start();
  };
  return html`<form class="card" onSubmit=${submit}>
    <label for="token">${say("sign_in.token")}</label>
    <textarea id="token" ref=${pasted} rows="4" required autocomplete="off" spellcheck="false" placeholder="eyJ…"></textarea>
    <button class=${main ? "main" : ""} type="submit">${say("sign_in.enter")}</button>
    <p class="quiet-text">${say("sign_in.kept")}</p>
  </form>`;
}

function signInWords() {
  if (session.refused !== null) return say(session.refused);
  if (session.failed) return say("sign_in.failed");
  return session.ended ? say("sign_in.ended") : null;
}

export function signOut() {
  dropDrafts();
  closeDialogs();
  session.end();
}

export function LanguageChoice() {
  const others = Object.entries(LANGUAGES).filter(([code]) => code !== language.value);
  return others.map(([code, name]) => html`<button class="quiet" type="button" id="other-language" lang=${TAGS[code]}
    onClick=${() => speak(code)}>${name}</button>`);
}

// The door: where no token is known yet. One comes from the company's own sign-in, or is pasted here.

function signInScreen() {
  const pasted = element("textarea", {
    id: "token", rows: 4, required: true, autocomplete: "off", spellcheck: "false", placeholder: "eyJ…",
  });
  const wrong = element("p", { class: "refused", role: "alert" }, doorWords());
  const enter = (event) => {
    event.preventDefault();
    if (session.begin(pasted.value.trim())) start();
    else fill(wrong, say("sign_in.no_token"));
  };
  return element("main", { class: "door" },
    element("div", { class: "door-head" }, element("h1", {}, say("title")), languageChoice()),
    element("p", { class: "quiet-text" }, say("sign_in.about")),
    wrong,
    GIVEN.signIn && button(say("sign_in.leave"), () => leaveToSignIn().catch(() => fill(wrong, say("sign_in.away"))), { class: "main" }),
    otherwise(element("form", { class: "card", onsubmit: enter },
      element("label", { for: "token" }, say("sign_in.token")),
      pasted,
      element("button", { class: GIVEN.signIn ? "" : "main", type: "submit" }, say("sign_in.enter")),
      element("p", { class: "quiet-text" }, say("sign_in.kept")))));
}

/** Pasting a token is for those who have no other way. */
function otherwise(form) {
  return GIVEN.signIn ? element("details", {}, element("summary", {}, say("sign_in.otherwise")), form) : form;
}

function doorWords() {
  if (session.refused !== null) return say(session.refused);
  if (session.failed) return say("sign_in.failed");
  return session.ended ? say("sign_in.ended") : null;
}

function languageChoice() {
  const others = Object.entries(LANGUAGES).filter(([code]) => code !== language);
  return others.map(([code, name]) =>
    element("button", {
      class: "quiet", type: "button", id: "other-language", lang: TAGS[code], onclick: () => { speak(code); show(); },
    }, name));
}

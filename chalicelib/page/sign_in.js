// The door: where no token is known yet. A token is pasted here, or fetched from the company's own sign-in.

function signInScreen() {
  const pasted = element("textarea", {
    id: "token", rows: 4, required: true, autocomplete: "off", spellcheck: "false", placeholder: "eyJ…",
  });
  const wrong = element("p", { class: "refused", role: "alert" }, session.ended ? say("sign_in.ended") : null);
  const enter = (event) => {
    event.preventDefault();
    if (session.begin(pasted.value.trim())) start();
    else fill(wrong, say("sign_in.no_token"));
  };
  return element("main", { class: "door" },
    element("div", { class: "door-head" }, element("h1", {}, say("title")), languageChoice()),
    element("p", { class: "quiet-text" }, say("sign_in.about")),
    wrong,
    element("form", { class: "card", onsubmit: enter },
      element("label", { for: "token" }, say("sign_in.token")),
      pasted,
      element("button", { class: "main", type: "submit" }, say("sign_in.enter")),
      element("p", { class: "quiet-text" }, say("sign_in.kept"))));
}

function languageChoice() {
  const others = Object.entries(LANGUAGES).filter(([code]) => code !== language);
  return others.map(([code, name]) =>
    element("button", { class: "quiet", type: "button", lang: TAGS[code], onclick: () => { speak(code); show(); } }, name));
}

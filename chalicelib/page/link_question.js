// The token of a link: whether it signs in, and the question before it replaces a session.

import { openDialog } from "./dialogs.js";
import { notice } from "./notices.js";
import { statusWith } from "./requests.js";
import { claimsOf, expired, samePerson, session, tenantOf } from "./session.js";
import { html } from "./view.js";
import { GIVEN, say } from "./words.js";

/**
 * What a link's token does: it signs nobody in where the company has a sign-in of its own, and replaces no session that
 * the service accepts before the reader has chosen to. Claims that are not verified replace nothing.
 */
export async function receiveToken(given) {
  const next = claimsOf(given);
  if (GIVEN.signIn || next === null) return refuseLink(GIVEN.signIn ? "link.not_here" : "link.no_token");
  const current = session.token;
  const checked = current !== null || expired(next);
  const [mine, theirs] = await Promise.all([current && statusWith(current), checked && statusWith(given)]);
  if (theirs === 401) return refuseLink(expired(next) ? "link.expired" : "link.no_token");
  if (mine === 401 && session.token === current) session.end();
  if (!session.alive) session.begin(given);
  else if (!samePerson(session.claims, next)) askWhoSignsIn(given, next);
  else if (theirs === 200) session.begin(given);
}

/** Show a sentence below the page of a signed-in user, or else on the sign-in page. */
function refuseLink(why) {
  if (session.token === null) session.refuse(why);
  else notice(say(why), "bad");
}

/** The tenant distinguishes two people of one name. */
function called(claims, other) {
  const user = claims.sub;
  return tenantOf(claims) === tenantOf(other) ? user : say("link.person", { user, tenant: tenantOf(claims) });
}

function askWhoSignsIn(token, next) {
  const [here, there] = [called(session.claims, next), called(next, session.claims)];
  openDialog({ only: "link", kind: "question", title: say("link.title"), component: LinkQuestion, here, there, change: () => session.begin(token) });
}

/** Whether a link's token replaces the session: the reader chooses. */
function LinkQuestion({ here, there, change: switchUser, close }) {
  return html`<div>
    <p>${say("link.about", { now: here, next: there })}</p>
    <div class="buttons">
      <button type="button" onClick=${switchUser}>${say("link.switch", { user: there })}</button>
      <button type="button" class="main" autofocus onClick=${() => close()}>${say("link.keep", { user: here })}</button>
    </div>
  </div>`;
}

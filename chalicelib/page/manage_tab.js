// What managers and administrators do, in sections; each appears only to users who may use it.

const SECTIONS = {
  customers: { view: customersSection, seen: () => now.manager },
  import: { view: importSection, seen: () => now.manager },
  members: { view: membersSection, seen: () => true },
  rules: { view: rulesSection, seen: () => now.manager },
  state: { view: stateSection, seen: () => true },
};

function manageTab() {
  const seen = Object.keys(SECTIONS).filter((name) => SECTIONS[name].seen());
  if (!seen.includes(now.section)) now.section = seen[0];
  const host = element("div", { class: "section" });
  const bar = element("nav", { class: "sections", "aria-label": say("tab.manage") }, seen.map((name) =>
    element("button", { type: "button", "data-section": name, onclick: () => choose(name) }, say(`manage.${name}`))));
  function choose(name) {
    now.section = name;
    for (const each of bar.children) each.ariaCurrent = each.dataset.section === name ? "true" : null;
    fill(host, SECTIONS[name].view());
  }
  choose(now.section);
  return [bar, host];
}

/** The pool's members by id, as far as there is somebody to choose from. */
async function memberChoice(props = {}) {
  const members = await all(inPool("/members"));
  const withHeadroom = (member) => member.headroom === null ? member.user_id
    : say("manage.headroom", { user: member.user_id, count: number(member.headroom) });
  return choice(Object.fromEntries(members.map((member) => [member.user_id, withHeadroom(member)])), null, props);
}

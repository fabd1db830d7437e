// What managers and administrators use, loaded when it is first needed.

import { CustomersScreen } from "./customers_screen.js";
import { importSection } from "./import_section.js";
import { membersSection } from "./members_section.js";
import { Mounted } from "./mounted.js";
import { addViews } from "./parts_loaded.js";
import { rulesSection } from "./rules_section.js";
import { stateSection } from "./state_section.js";
import { statisticsTab } from "./statistics_tab.js";
import { html } from "./view.js";

const mounted = (view) => () => html`<${Mounted} view=${view}/>`;

addViews({
  customers: CustomersScreen,
  members: mounted(membersSection), import: mounted(importSection), rules: mounted(rulesSection), state: mounted(stateSection),
  statistics: mounted(statisticsTab),
});

// What managers and administrators use, loaded when it is first needed.

import { CustomersScreen } from "./customers_screen.js";
import { FieldsScreen } from "./fields_screen.js";
import { ImportScreen } from "./import_screen.js";
import { LogScreen } from "./log_screen.js";
import { Mounted } from "./mounted.js";
import { addViews } from "./parts_loaded.js";
import { rulesSection } from "./rules_section.js";
import { stateSection } from "./state_section.js";
import { statisticsTab } from "./statistics_tab.js";
import { TeamScreen } from "./team_screen.js";
import { html } from "./view.js";

const mounted = (view) => () => html`<${Mounted} view=${view}/>`;

addViews({
  customers: CustomersScreen, members: TeamScreen, import: ImportScreen, fields: FieldsScreen, log: LogScreen,
  rules: mounted(rulesSection), state: mounted(stateSection), statistics: mounted(statisticsTab),
});

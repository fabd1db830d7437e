// What managers and administrators use, loaded when it is first needed.

import { CustomersScreen } from "./customers_screen.js";
import { FieldsScreen } from "./fields_screen.js";
import { ImportScreen } from "./import_screen.js";
import { LogScreen } from "./log_screen.js";
import { addViews } from "./parts_loaded.js";
import { TeamScreen } from "./team_screen.js";
import "./verbs_later.js";

addViews({ customers: CustomersScreen, members: TeamScreen, import: ImportScreen, fields: FieldsScreen, log: LogScreen });

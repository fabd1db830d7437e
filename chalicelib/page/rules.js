// The rules of the pool, loaded when they are first opened.

import { addViews } from "./parts_loaded.js";
import { RulesScreen } from "./rules_screen.js";

addViews({ rules: RulesScreen });

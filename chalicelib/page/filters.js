// The form of a filter, loaded when the first is chosen.

import { chooseFilter } from "./filter_form.js";
import { addViews } from "./parts_loaded.js";

addViews({ chooseFilter });

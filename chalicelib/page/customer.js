// One customer in full, loaded when the first is opened.

import { CustomerPanel } from "./customer_panel.js";
import { addViews } from "./parts_loaded.js";
import "./verbs_later.js";

addViews({ panel: CustomerPanel });

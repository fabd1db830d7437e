// The state of the pool and the list of pools, loaded when they are first opened.

import { addViews } from "./parts_loaded.js";
import { FirstPool, StateScreen } from "./state_screen.js";

addViews({ state: StateScreen, first_pool: FirstPool });

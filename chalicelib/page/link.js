// What a token in the address needs, loaded only with one.

import { receiveToken } from "./link_question.js";
import { addViews } from "./parts_loaded.js";

addViews({ receiveToken });

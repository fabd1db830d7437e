// Statistics with their drawings, loaded when they are first opened.

import { addViews } from "./parts_loaded.js";
import { StatisticsScreen } from "./statistics_screen.js";

addViews({ statistics: StatisticsScreen });

// The company's own sign-in, loaded only where there is one.

import { comeBack, leaveToSignIn } from "./oidc.js";
import { addViews } from "./parts_loaded.js";

addViews({ leaveToSignIn, comeBack });

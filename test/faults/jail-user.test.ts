/** The corpus of attacks on the jail, called by an ordinary user. */
import { jailSuite } from "./jail/suite.ts";

jailSuite("user");

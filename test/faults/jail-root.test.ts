/** The corpus of attacks on the jail, called by root. */
import { jailSuite } from "./jail/suite.ts";

jailSuite("root");

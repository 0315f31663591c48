#!/usr/bin/env node
import { start } from "../dist/doors/cli/entry.js";

await start();

/** A child process that counts up a fact: argv is database file, times. */
import { Facts, SqliteStore } from "../../src/store/index.ts";

const [path = "", times = "0"] = process.argv.slice(2);
const store = new SqliteStore({ path });
const facts = new Facts(store, "count");
await facts.initialize();
for (let i = 0; i < Number(times); i++) await facts.update("n", 0, (before) => ({ after: String(Number(before ?? "0") + 1), result: undefined }));
await store.close();

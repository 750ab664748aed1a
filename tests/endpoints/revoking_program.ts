// Revokes one user after the other and prints the number of each when it is acknowledged, until it is killed.
import { RevocationStore } from "../../src/endpoints/sessions/revocation_store.ts";

const [path = ""] = Deno.args;
const store = new RevocationStore({ path });
for (let number = 0;; number++) {
  store.add({ kind: "user", value: `user${number}`, jtis: [], ttlMs: 86_400_000 });
  Deno.stdout.writeSync(new TextEncoder().encode(`${number}\n`));
}

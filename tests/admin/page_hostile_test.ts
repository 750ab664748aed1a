// The page against attackers who want it to run, hide or forge something: all that a peer or a token says is text.

import assert from "node:assert/strict";
import { closePayload, frame, OPCODE, RawClient } from "../support/raw_client.ts";
import { browserTest, PageBench } from "./page_harness.ts";

const MARKUP = `"><img src=x onerror="document.title='taken'"><script>document.title='taken'</script>`;
/** The last of it would be a record of its own, or run to the left. */
const LINES =
  `\u202e\n${MARKUP}\n=cmd|' /C calc'!A0 user=root\r\n\u2028session.opened\u202e\u2067\u0085\u200b \\"`;
const USERS = {
  markup: "<script>document.title='taken'</script>",
  long: "u".repeat(256),
  marks: `a${"\u0323".repeat(255)}`,
  right: "\u05e9\u05dc\u05d5\u05dd",
};
// deno-lint-ignore no-control-regex
const INVISIBLE = /[\u0000-\u001f\u007f-\u009f\u200b\u2028\u202a-\u202e\u2066-\u2069]/;

/** Sends a head that is all markup, and, if it is let in, says goodbye with more. */
async function visit(port: number, target: string, headers: Record<string, string>): Promise<void> {
  using client = await RawClient.open({ port });
  const { status } = await client.handshake({ target, headers });
  if (status !== 101) return;
  await client.send(frame({ opcode: OPCODE.close, payload: closePayload(4000, MARKUP.slice(0, 120)) }));
  await client.eof();
}

for (const width of [360, 1280]) {
  browserTest(
    `what strangers send runs nothing, forges nothing and breaks nothing, ${width} wide`,
    async () => {
      await using bench = await PageBench.open(["--log-level", "debug"], {
        viewport: { width, height: 900 },
      });
      const { page, program } = bench;
      let dialogs = 0;
      page.on("dialog", (dialog) => {
        dialogs++;
        void dialog.dismiss();
      });
      const admin = await bench.mint("root", "--claim", "scope=wsward:admin");
      await bench.watch(admin);
      await page.getByText("Watching: all is well").waitFor();

      const port = await program.port("echo");
      await visit(port, "/", { "Origin": MARKUP, "User-Agent": MARKUP });
      await visit(port, "/", { "User-Agent": MARKUP.repeat(40), "Sec-WebSocket-Protocol": "a<b>" });
      await visit(port, `/${encodeURI(MARKUP).repeat(50)}`, {});
      await visit(port, "/", { "User-Agent": MARKUP });
      await using clients = new AsyncDisposableStack();
      for (const user of Object.values(USERS)) {
        const client = await RawClient.connect({ port: await program.port("secure") });
        clients.defer(() => client.close());
        await client.sendText(await bench.mint(user));
        assert.equal(await client.nextText(), "Authenticated!");
      }
      const sent = `${LINES}${"A".repeat(8192 - LINES.length)}`;
      const response = await fetch(`${bench.url}revocations`, {
        method: "POST",
        headers: { "Authorization": `Bearer ${admin}`, "Content-Type": "application/json" },
        body: JSON.stringify({ kind: "jti", value: sent }),
      });
      assert.equal(response.status, 201);
      await response.body?.cancel();

      const rowsOf = (name: string) => page.getByRole("region", { name }).locator("tbody tr");
      await rowsOf("Revocations").first().waitFor();
      await rowsOf("Sessions").nth(3).waitFor();
      assert.deepEqual([await rowsOf("Revocations").count(), await rowsOf("Sessions").count()], [1, 4]);
      const events = page.locator("#events li");
      const added = events.filter({ hasText: "revocation.added" });
      await added.waitFor();
      // One value, in quotes, in one line.
      const value = await added.locator("bdi").nth(1).textContent();
      assert.match(
        value!,
        /^"\\u\{202e\}\\u\{a\}\\"><img .*\\u\{a\}=cmd.* user=root\\u\{d\}.*\\u\{202e\}\\u\{2067\}/,
      );
      for (
        const text of await page.locator("#events bdi, #lists bdi, #lists small, #events li")
          .allTextContents()
      ) {
        assert.doesNotMatch(text, INVISIBLE);
      }
      const names = new Set(await events.locator("b").allTextContents());
      for (const name of names) assert.match(name, /^[a-z]+\.[a-z_]+$/);

      // Marks that pile up, and long texts, stay where they are.
      for (const row of await page.locator("#lists tbody tr").all()) {
        const box = await row.boundingBox();
        assert.ok(box !== null && box.height < 400, JSON.stringify(box));
      }
      assert.deepEqual(
        await page.evaluate(`[...document.querySelectorAll("#lists bdi, #events li")]
        .filter((node) => getComputedStyle(node).overflow !== "clip").map((node) => node.textContent)`),
        [],
      );
      assert.equal(await page.locator("html").evaluate((node) => node.scrollWidth), width);
      await page.getByRole("button", { name: `Revoke the tokens of ${USERS.right}` }).click();
      // What runs to the left does not take the words around it with it.
      await page.getByText(`No token of \u2068${USERS.right}\u2069 that was made`).waitFor();

      assert.equal(await page.title(), "wsward");
      assert.equal(dialogs, 0);
      assert.equal(await page.locator("img, iframe, object, embed, body script:not([type])").count(), 0);
      bench.assertClean();
    },
  );
}

// The monitor of the page in a real browser: what an operator sees and does with it.

import assert from "node:assert/strict";
import { browserTest, PageBench } from "./page_harness.ts";

browserTest("the monitor shows sessions, counts and events, and its button ends a session", async () => {
  await using bench = await PageBench.open();
  const { page } = bench;
  await bench.watch(await bench.mint("root", "--claim", "scope=wsward:admin"));
  await page.getByText("Watching: all is well").waitFor();
  await page.getByText("No session is open.").waitFor();
  await bench.connectSecure(await bench.mint("<b>eve</b>"), "message");
  const row = page.getByRole("region", { name: "Sessions" }).getByRole("row", { name: "<b>eve</b>" });
  await row.waitFor();
  await page.getByRole("list", { name: "Recent events" }).getByText("session.opened").waitFor();
  await page.getByRole("img", { name: "Connections, open 1, sessions 1" }).waitFor();

  await row.getByRole("button", { name: "Close" }).click();
  await page.getByRole("button", { name: "Leave it" }).click();
  await row.getByRole("button", { name: "Close" }).click();
  await page.getByRole("button", { name: "Close the session", exact: true }).click();
  await bench.logged("Closed: 1008 Policy Violation");
  await bench.logged(/closed by an administrator/);
  await page.getByText("No session is open.").waitFor();
  await page.locator("#counts").getByText("1008 Policy Violation").waitFor();
  assert.equal(await page.getByRole("alertdialog").count(), 0);
  bench.assertClean();
  const kept = await page.context().storageState();
  assert.deepEqual([kept.cookies, kept.origins, page.url()], [[], [], bench.url]);
});

browserTest("of a session on another node the monitor shows where it is, and no numbers", async () => {
  await using bench = await PageBench.open();
  const { page } = bench;
  await page.route(/\/sessions\?/, async (route) => {
    const times = { started_at: new Date().toISOString(), expires_at: new Date().toISOString() };
    const session = { id: "1", user: "eve", address: "192.0.2.1", connection: "2", node: "b", ...times };
    await route.fulfill({ json: { sessions: [{ ...session, messages_in: null, messages_out: null }] } });
  });
  await bench.watch(await bench.mint("root", "--claim", "scope=wsward:admin"));
  const row = page.getByRole("region", { name: "Sessions" }).getByRole("row", { name: "eve" });
  await row.getByText("192.0.2.1, node b").waitFor();
  assert.doesNotMatch(await row.innerText(), /null/);
  bench.assertClean();
});

browserTest("the monitor lists connections, closes them, and bans and lets in their addresses", async () => {
  await using bench = await PageBench.open();
  const { page } = bench;
  const admin = await bench.mint("root", "--claim", "scope=wsward:admin");
  await page.getByRole("button", { name: "Connect" }).click();
  await bench.logged("Connected");
  await bench.watch(admin);
  const row = page.getByRole("region", { name: "Connections" }).getByRole("row", { name: "127.0.0.1" });
  await row.getByText("echo").waitFor();
  await row.getByText(/\d B\/s/).first().waitFor();
  await row.getByRole("button", { name: "Ban" }).click();
  await page.getByRole("button", { name: "Ban the address" }).click();
  await page.getByText("The server did not do this: loopback addresses are banned with --ban-loopback only")
    .waitFor();
  await page.getByRole("button", { name: "Leave it" }).click();
  await row.getByRole("button", { name: "Close" }).click();
  await page.getByRole("button", { name: "Close the connection", exact: true }).click();
  await bench.logged("Closed: 1008 Policy Violation");
  await page.getByText("No connection is open.").waitFor();

  const response = await fetch(`${bench.url}bans`, {
    method: "POST",
    headers: { "Authorization": `Bearer ${admin}`, "Content-Type": "application/json" },
    body: JSON.stringify({ address: "192.0.2.7", ttl_seconds: 60 }),
  });
  assert.equal(response.status, 201);
  await response.body?.cancel();
  const ban = page.getByRole("region", { name: "Bans" }).getByRole("row", { name: "192.0.2.7" });
  await ban.getByRole("button", { name: "Lift" }).click();
  await page.getByRole("button", { name: "Lift the ban", exact: true }).click();
  await page.getByText("Nobody is banned.").waitFor();
  // The browser itself tells of the status that the ban of a loopback address got.
  assert.deepEqual(bench.errors.splice(0).map((text) => /409/.test(text)), [true]);
  bench.assertClean();
});

browserTest("an address or a network that is not connected is banned with the keyboard alone", async () => {
  await using bench = await PageBench.open();
  const { page } = bench;
  await bench.watch(await bench.mint("root", "--claim", "scope=wsward:admin"));
  await page.getByText("Nobody is banned.").waitFor();
  const field = page.getByLabel("Address or network");
  const isFocused = (name: string) =>
    page.locator(":focus").and(page.getByRole("button", { name, exact: true })).waitFor();
  const enter = async (address: string) => {
    await field.fill(address);
    await field.press("Enter");
    await isFocused("Leave it");
  };
  for (
    const [address, why] of [
      [
        "example.com",
        "this is neither an IP address nor a network from /8 to /32, or from /16 to /64 of IPv6",
      ],
      [
        "1".repeat(65),
        "this is neither an IP address nor a network from /8 to /32, or from /16 to /64 of IPv6",
      ],
      ["127.0.0.1", "loopback addresses are banned with --ban-loopback only"],
    ] as const
  ) {
    await enter(address);
    await page.keyboard.press("Tab");
    await isFocused("Ban the address");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").getByText(`The server did not do this: ${why}`).waitFor();
    await page.keyboard.press("Escape");
    await page.locator(":focus").and(field).waitFor();
    assert.equal(await field.inputValue(), address);
  }
  await enter("198.51.100.77/24");
  await page.getByLabel("For").selectOption("1 day");
  await page.getByRole("button", { name: "Leave it" }).focus();
  await page.keyboard.press("Tab");
  await isFocused("Ban the network");
  await page.keyboard.press("Enter");
  await page.getByRole("status").getByText(/^Banned 198\.51\.100\.0\/24 until 2/).waitFor();
  assert.equal(await field.inputValue(), "");
  const ban = page.getByRole("region", { name: "Bans" }).getByRole("row", { name: "198.51.100.0/24" });
  await ban.getByRole("button", { name: "Lift" }).focus();
  for (const key of ["Enter", "Tab", "Enter"]) await page.keyboard.press(key);
  await page.getByRole("status").getByText("Lifted.").waitFor();
  // What had the focus is gone: it goes on from the list, not from the top of the page.
  await page.locator(":focus").and(page.getByRole("heading", { name: "Bans" })).waitFor();
  assert.deepEqual(bench.errors.splice(0).map((text) => /40[09]/.test(text)), [true, true, true]);
  bench.assertClean();
});

browserTest("of many nodes the monitor says which connections it shows, and what it can't know", async () => {
  await using bench = await PageBench.open();
  const { page } = bench;
  await page.route(/\/connections\?/, (route) => route.fulfill({ json: { connections: [], node: "b" } }));
  await page.route(/\/bans\?/, (route) => route.fulfill({ json: { bans: [], partial: true } }));
  await bench.watch(await bench.mint("root", "--claim", "scope=wsward:admin"));
  await page.getByText("These are of the node b only: each node lists its own.").waitFor();
  await page.getByText("Redis is lost: this is what this node knows.").waitFor();
  await page.route(/\/bans$/, (route) => {
    const expires_at = new Date().toISOString();
    return route.fulfill({ json: { client: "192.0.2.1", expires_at, everywhere: false }, status: 201 });
  });
  await page.getByLabel("Address or network").fill("192.0.2.1");
  await page.getByRole("button", { name: "Ban", exact: true }).click();
  await page.getByRole("button", { name: "Ban the address" }).click();
  await page.getByText(/^Banned 192\.0\.2\.1 until .* Not everywhere yet: the other nodes are told/)
    .waitFor();
  bench.assertClean();
});

browserTest("the monitor revokes a user, takes that back, and finds it among the events", async () => {
  await using bench = await PageBench.open();
  const { page } = bench;
  await bench.watch(await bench.mint("root", "--claim", "scope=wsward:admin"));
  await bench.connectSecure(await bench.mint("eve"), "message");
  await bench.logged("Authenticated!");
  const session = page.getByRole("region", { name: "Sessions" }).getByRole("row", { name: "eve" });
  await session.getByRole("button", { name: "Revoke" }).click();
  await page.getByLabel("For").selectOption("1 day");
  await page.getByRole("button", { name: "Revoke the tokens", exact: true }).click();
  await bench.logged("Closed: 3000 Unauthorized");
  const revocation = page.getByRole("region", { name: "Revocations" }).getByRole("row", { name: "eve" });
  await revocation.getByText("all tokens of a user").waitFor();

  const events = page.getByRole("list", { name: "Recent events" });
  await events.getByText("revocation.added").waitFor();
  await page.getByLabel("Words in it").fill("REVOKED kind=user eve");
  await events.getByText("connection.opened").waitFor({ state: "detached" });
  await events.getByText("revocation.added").waitFor();
  await page.getByLabel("At least").selectOption("error");
  await page.getByText(/^None of the last \d+ events fits\.$/).waitFor();
  await page.getByLabel("Words in it").fill("");
  await page.getByLabel("At least").selectOption("debug");
  await events.getByText("connection.opened").first().waitFor();

  await revocation.getByRole("button", { name: "Take back" }).click();
  await page.getByRole("button", { name: "Take it back" }).click();
  await page.getByText("Nothing is revoked.").waitFor();
  bench.assertClean();
});

browserTest("the charts begin with what the server remembers", async () => {
  await using bench = await PageBench.open();
  const { page } = bench;
  const admin = await bench.mint("root", "--claim", "scope=wsward:admin");
  const points = async () => {
    const answer = await fetch(`${bench.url}history`, { headers: { "Authorization": `Bearer ${admin}` } });
    return (await answer.json()).points.length;
  };
  while (await points() < 3) await page.waitForTimeout(100);
  await bench.watch(admin);
  await page.getByText("Watching: all is well").waitFor();
  const line = await page.getByRole("img", { name: "Connections" }).locator("path").first().getAttribute("d");
  assert.ok(line!.match(/L/g)!.length >= 3, line!);
});

browserTest("the monitor says until when its token is good, and takes another one in time", async () => {
  await using bench = await PageBench.open();
  const { page } = bench;
  const scope = ["--claim", "scope=wsward:admin"];
  await bench.watch(await bench.mint("root", ...scope, "--expires-in", "4m"));
  await page.getByText(/^The token ends in 3 min: put in another one\.$/).waitFor();
  await page.getByLabel("Token of an administrator").fill(
    await bench.mint("root", ...scope, "--expires-in", "2h"),
  );
  await page.getByRole("button", { name: "Use this token" }).click();
  await page.getByText(/^The token is good until .*, 1 h 59 min more\.$/).waitFor();
  assert.equal(await page.getByLabel("Token of an administrator").isVisible(), false);
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByLabel("Token of an administrator").waitFor();
  bench.assertClean();
});

browserTest("the monitor says that a token is wrong, and that the server is gone", async () => {
  await using bench = await PageBench.open();
  const { page } = bench;
  await bench.watch(await bench.mint("ada"));
  await page.getByText("This token is refused: the token does not have the scope wsward:admin").waitFor();
  await bench.watch("nonsense");
  await page.getByText(/This token is refused: the token is not valid/).waitFor();
  await bench.watch(await bench.mint("root", "--claim", "scope=wsward:admin"));
  await page.getByText("Watching: all is well").waitFor();
  bench.program.signal("SIGKILL");
  await page.getByText("The server does not answer. Trying again every second.").waitFor();
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText("Not watching").waitFor();
});

browserTest(
  "the monitor shows the servers behind this one, and the playground asks for their tokens",
  async () => {
    await using bench = await PageBench.open(["--upstream", "ws://127.0.0.1:1/"]);
    const { page } = bench;
    await page.getByLabel("upstream:").check();
    assert.ok(await page.getByLabel("Token", { exact: true }).isVisible());
    const admin = await bench.mint("root", "--claim", "scope=wsward:admin");
    const token = await bench.mint("ada");
    await page.getByLabel("Token", { exact: true }).fill(token);
    await page.getByRole("combobox", { name: "Present it as" }).selectOption("subprotocol");
    await page.getByRole("button", { name: "Connect" }).click();
    await bench.logged("Not connected");
    await bench.watch(admin);
    const row = page.getByRole("region", { name: "Servers behind this one" }).getByRole("row", {
      name: "127.0.0.1:1",
    });
    await row.getByText(/unreachable 1|refused 1/).waitFor();
  },
);

// The page by WCAG 2.2: contrast (1.4.3, 1.4.11), reflow (1.4.10), names of all controls, and focus that stays.

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { browserTest, PageBench } from "./page_harness.ts";

// As text, because the types of Deno know no documents.
const FAINT = `(() => {
  const parse = (colour) => [...colour.match(/[\\d.]+/g).map(Number), 1].slice(0, 4);
  const over = (top, below) => [0, 1, 2].map((at) => top[at] * top[3] + below[at] * (1 - top[3])).concat(1);
  const groundOf = (node) => {
    if (node === null) return [255, 255, 255, 1];
    const own = parse(getComputedStyle(node).backgroundColor);
    return own[3] === 1 ? own : over(own, groundOf(node.parentElement));
  };
  const light = (colour) => {
    const [r, g, b] = colour.map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => {
    const [least, most] = [light(a), light(b)].sort((x, y) => x - y);
    return (most + 0.05) / (least + 0.05);
  };
  const opacityOf = (node) => node === null ? 1 : getComputedStyle(node).opacity * opacityOf(node.parentElement);
  const faint = [];
  const look = (node, what, colour, ground, least) => {
    const [r, g, b, alpha] = parse(colour);
    const found = ratio(over([r, g, b, alpha * opacityOf(node)], ground), ground);
    if (found < least) faint.push(what + " " + found.toFixed(2) + " " + (node.id || node.textContent).slice(0, 40));
  };
  for (const node of document.body.querySelectorAll("*")) {
    if (!node.checkVisibility() || node.closest(".unseen, svg, option") !== null) continue;
    const style = getComputedStyle(node);
    const isField = node.matches("input:not([type=radio]), select, textarea");
    const hasText = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim() !== "");
    if (hasText || isField) look(node, "text", style.color, groundOf(node), 4.5);
    if (isField || node.matches("button")) look(node, "border", style.borderTopColor, groundOf(node.parentElement), 3);
  }
  for (const path of document.querySelectorAll("path")) {
    if (path.checkVisibility()) look(path, "line", getComputedStyle(path).stroke, groundOf(path.parentElement), 3);
  }
  return faint;
})()`;

const NAMELESS =
  `[...document.querySelectorAll("input, select, textarea, button, [tabindex='0'], dialog, svg")]
  .filter((node) => {
    const ids = (node.getAttribute("aria-labelledby") ?? "").split(" ");
    const said = node.getAttribute("aria-label") ?? document.getElementById(ids[0])?.textContent ??
      [...node.labels ?? []].map((label) => label.textContent).join("") + (node.matches("button") ? node.textContent : "");
    return node.checkVisibility() && said.trim() === "";
  }).map((node) => node.outerHTML.slice(0, 80))`;

async function assertReadable(page: Page, state: string): Promise<void> {
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await page.evaluate(FAINT), [], `${state}, ${colorScheme}`);
  }
  assert.deepEqual(await page.evaluate(NAMELESS), [], state);
}

browserTest("in every state, light and dark, all can be read and all controls have names", async () => {
  await using bench = await PageBench.open();
  const { page } = bench;
  await assertReadable(page, "first");
  await page.getByRole("button", { name: "Connect" }).click();
  await bench.logged("Connected");
  await page.getByRole("button", { name: "Send" }).click();
  await bench.logged("Server received: hello");
  await bench.watch("nonsense");
  await page.getByText(/This token is refused/).waitFor();
  await assertReadable(page, "refused");
  await bench.watch(
    await bench.mint("root", "--claim", "scope=wsward:admin", "--expires-in", "4m"),
  );
  await page.getByText(/^The token ends in/).waitFor();
  await page.getByRole("region", { name: "Connections" }).getByText("echo").waitFor();
  await assertReadable(page, "watching");
  await page.getByRole("button", { name: "Ban 127.0.0.1" }).click();
  await page.getByRole("button", { name: "Ban the address" }).click();
  await page.getByText("The server did not do this").waitFor();
  await assertReadable(page, "asking");
  await page.getByRole("button", { name: "Leave it" }).click();
  bench.program.signal("SIGKILL");
  await page.getByText("The server does not answer. Trying again every second.").waitFor();
  await assertReadable(page, "lost");
});

browserTest(
  "a page that is enlarged four times needs no scrolling sideways, and nothing moves by itself",
  async () => {
    await using bench = await PageBench.open([], {
      viewport: { width: 320, height: 256 },
      reducedMotion: "reduce",
    });
    const { page } = bench;
    await bench.watch(await bench.mint("root", "--claim", "scope=wsward:admin"));
    await bench.connectSecure(await bench.mint("u".repeat(256)), "message");
    await page.getByRole("region", { name: "Sessions" }).getByText("uuu").waitFor();
    assert.equal(await page.locator("html").evaluate((node) => node.scrollWidth), 320);
    const moving =
      `[...document.querySelectorAll("*")].map((node) => getComputedStyle(node)).filter((style) =>
    style.scrollBehavior !== "auto" || style.animationName !== "none" || style.transitionDuration !== "0s").length`;
    assert.equal(await page.evaluate(moving), 0);
    bench.assertClean();
  },
);

browserTest(
  "a button keeps the focus when its row moves, and the list gets it when the row goes",
  async () => {
    await using bench = await PageBench.open();
    const { page } = bench;
    const times = { opened_at: new Date().toISOString(), bytes_in: 0, bytes_out: 0, held_bytes: 0 };
    const made = (id: string) => ({ id, endpoint: "echo", address: id, ...times, throttled_seconds: 0 });
    let shown = ["192.0.2.1", "192.0.2.2"];
    await page.route(
      /\/connections\?/,
      (route) => route.fulfill({ json: { connections: shown.map(made) } }),
    );
    await bench.watch(await bench.mint("root", "--claim", "scope=wsward:admin"));
    const button = page.getByRole("button", { name: "Ban 192.0.2.1" });
    await button.focus();
    const first = page.locator("#connections-rows tr").first();
    for (const order of [["192.0.2.2", "192.0.2.1"], ["192.0.2.1", "192.0.2.2"]]) {
      shown = order;
      await first.and(page.getByRole("row", { name: order[0]! })).waitFor();
      await page.locator(":focus").and(button).waitFor();
    }
    const heading = page.getByRole("heading", { name: "Connections" });
    shown = ["192.0.2.2"];
    await page.locator(":focus").and(heading).waitFor();
    await page.getByRole("button", { name: "Ban 192.0.2.2" }).click();
    shown = [];
    await page.locator("#connections-rows tr").waitFor({ state: "detached" });
    await page.keyboard.press("Escape");
    await page.locator(":focus").and(heading).waitFor();
    bench.assertClean();
  },
);

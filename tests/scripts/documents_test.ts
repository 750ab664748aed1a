// The documents: the tasks in them exist, the links lead somewhere, and the first page stays short.

import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };

const ROOT = new URL("../../", import.meta.url);
const PAGES = ["README.md", "src/README.md", "src/guide.md", "src/reference.md"];
/** A first page is for a reader in a hurry. */
const MAX_README_SIZE = 16 * 1024;

for (const page of PAGES) {
  Deno.test(`${page} names tasks that there are`, async () => {
    const text = await read(page);
    for (const [, task] of text.matchAll(/(?:deno|deno@[\d.]+) task ([a-z-]+)/g)) {
      assert.ok(Object.hasOwn(config.tasks, task!), `${page} names the task ${task}`);
    }
  });

  Deno.test(`${page} has links that lead somewhere`, async () => {
    for (const [, target = "", anchor] of (await read(page)).matchAll(/\]\(([^):#]*)(?:#([^)]*))?\)/g)) {
      const linked = target === ""
        ? page
        : new URL(target, new URL(page, ROOT)).pathname.slice(ROOT.pathname.length);
      const text = await read(linked);
      if (anchor !== undefined) {
        assert.ok(anchorsOf(text).has(anchor), `${page} links to ${linked}#${anchor}`);
      }
    }
  });
}

Deno.test("the first page stays short", async () => {
  const { length } = new TextEncoder().encode(await read("README.md"));
  assert.ok(length <= MAX_README_SIZE, `README.md has ${length} bytes, and may have ${MAX_README_SIZE}`);
});

/** The anchors of all headings, as the usual viewers make them. */
function anchorsOf(text: string): ReadonlySet<string> {
  const headings = Array.from(text.matchAll(/^#+ (.*)$/gm), ([, heading = ""]) => heading);
  return new Set(
    headings.map((heading) => heading.toLowerCase().replace(/[^\w\- ]/g, "").replaceAll(" ", "-")),
  );
}

function read(path: string): Promise<string> {
  return Deno.readTextFile(new URL(path, ROOT));
}

// Which folders are safe from other users.

import assert from "node:assert/strict";
import { findExposure, isSafeAbove, ownUser } from "../../src/core/private_folder.ts";

const options = { ignore: Deno.build.os === "windows" };

Deno.test("a folder is private if it is its user's own, with mode 0700, and no link", options, () => {
  const root = Deno.makeTempDirSync();
  const user = ownUser(root)!;
  const path = `${root}/folder`;
  Deno.mkdirSync(path);
  for (const mode of [0o710, 0o701, 0o750, 0o770, 0o777, 0o755, 0o720]) {
    Deno.chmodSync(path, mode);
    assert.match(findExposure(path, user)!, /mode 0700/, mode.toString(8));
  }
  Deno.chmodSync(path, 0o700);
  assert.equal(findExposure(path, user), undefined);
  // What root would see of another user's folder.
  assert.match(findExposure(path, { ...user, uid: user.uid + 1 })!, /belongs to somebody else/);
  Deno.symlinkSync(path, `${root}/link`);
  assert.match(findExposure(`${root}/link`, user)!, /no link/);
  Deno.chmodSync(root, 0o777);
  assert.match(findExposure(path, user)!, /others can replace it/);
  Deno.chmodSync(root, 0o1777);
  assert.equal(findExposure(path, user), undefined, "as in /tmp, only the owner can rename it");
  Deno.removeSync(root, { recursive: true });
});

Deno.test("on the way to it, no link is in a place where others can put another", options, () => {
  const root = Deno.makeTempDirSync();
  const user = ownUser(root)!;
  for (const name of ["ways", "there", "there/folder"]) Deno.mkdirSync(`${root}/${name}`, { mode: 0o700 });
  Deno.symlinkSync(`${root}/there`, `${root}/ways/link`);
  Deno.symlinkSync("ways/link", `${root}/chain`);
  const exposures = () =>
    ["ways/link", "chain", "ways/../chain/"].map((way) => findExposure(`${root}/${way}/folder`, user));
  assert.deepEqual(exposures(), [undefined, undefined, undefined]);
  Deno.chmodSync(`${root}/ways`, 0o1777);
  assert.deepEqual(exposures(), [undefined, undefined, undefined]);
  Deno.chmodSync(`${root}/ways`, 0o777);
  for (const exposure of exposures()) assert.match(exposure!, /because the link ".*\/ways\/link" is theirs/);
  Deno.removeSync(root, { recursive: true });
});

Deno.test("above it, only its user and root may rename what is there", options, () => {
  const folder = (uid: number, gid: number, mode: number) => ({ isDirectory: true, uid, gid, mode });
  const user = { uid: 1000, gid: 1000 };
  assert.ok(isSafeAbove(folder(0, 0, 0o755), user));
  assert.ok(isSafeAbove(folder(1000, 1000, 0o755), user));
  assert.ok(isSafeAbove(folder(1000, 1000, 0o775), user), "a group of the user's own");
  assert.ok(isSafeAbove(folder(0, 0, 0o1777), user));
  assert.ok(!isSafeAbove(folder(1001, 1001, 0o755), user), "another user's");
  assert.ok(!isSafeAbove(folder(1001, 1001, 0o1777), user), "another user's, who may rename all the same");
  assert.ok(!isSafeAbove(folder(1000, 50, 0o775), user), "a group of many");
  assert.ok(!isSafeAbove(folder(0, 1000, 0o757), user));
  assert.ok(!isSafeAbove(folder(0, 0, 0o775), { uid: 1000, gid: 0 }));
});

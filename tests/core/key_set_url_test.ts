// The URLs that a key set may be fetched from.

import assert from "node:assert/strict";
import { isKeySetUrl } from "../../src/core/key_set_url.ts";

Deno.test("accepts https anywhere, and http on this machine only", () => {
  const accepted = [
    "https://id.example/.well-known/jwks.json",
    "https://id.example:8443/keys?tenant=1",
    "http://127.0.0.1:99/keys",
    "http://127.9.9.9/",
    "http://127.1/",
    "http://[::1]:99/keys",
    "http://localhost/keys",
  ];
  for (const url of accepted) assert.ok(isKeySetUrl(url), url);
  const refused = [
    "",
    "id.example",
    "http://id.example/keys",
    "http://10.0.0.1/",
    "http://localhost.example/",
    "http://127.0.0.1.example/",
    "http://127.example/",
    "http://[::2]/",
    "http://0.0.0.0/",
    "https://user:secret@id.example/",
    "https://user@id.example/",
    "https://id.example/#keys",
    "https://id.example/ keys",
    "https://id.example/\n",
    "file:///etc/keys",
    "data:application/json,{}",
    "ftp://127.0.0.1/",
  ];
  for (const url of refused) assert.ok(!isKeySetUrl(url), url);
});

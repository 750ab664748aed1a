// The scripts that run in Redis, each as one atomic step.
//
// All keys begin with KEYS[1], which has the hash tag of a cluster, and all expire by themselves:
//   nodes        sorted set: node -> end of its lease          info        hash: node -> what it says of itself
//   s:NODE       hash: session -> row                          o:NODE      hash: session -> why it is to end
//   u:USER       sorted set: session@node, by its start        all         sorted set by text: start-session@node
//   j:JTI        the session that used a token                 c:CLIENT    violations of a client
//   r, b         hashes of revocations and bans                r:v, b:v    their ids by the version of the last change
//   r:x, b:x     their ids by their end                        v           hash: the versions, and the epoch of all this
// A row begins with its start and its end (16 digits each) and the key of its user (22 characters). Times are of Redis.

import { defineScript, type Script } from "../redis/script.ts";

/** The length of a user's key, in characters. */
export const USER_KEY_LENGTH = 22;

/** How long a node counts as alive without a sign of life, in milliseconds. */
export const LEASE_MS = 15_000;

/** How long registered data outlives the last node, in milliseconds. */
const KEPT_MS = 86_400_000;

/** The most sessions that one call registers, releases or reads. */
export const MAX_BATCH = 100;

const HEAD = `
local P = KEYS[1]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if now > tonumber(ARGV[1]) then return {'LATE', now} end
local function text(number) return string.format('%016.0f', number) end
local function lengthen(key, ms)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, string.format('%.0f', ms)) end
end
-- Before a node registers anything it is among the nodes: else nobody would ever sweep it.
local function keep(node)
  redis.call('ZADD', P..'nodes', 'NX', now + ${LEASE_MS}, node)
  for _, key in ipairs({'nodes', 'all', 's:'..node}) do lengthen(P..key, ${KEPT_MS}) end
end
local leases = {}
local function lives(node)
  if leases[node] == nil then
    leases[node] = tonumber(redis.call('ZSCORE', P..'nodes', node) or 0) > now
  end
  return leases[node]
end
local function place(node, sid, row) return string.sub(row, 1, 16)..'-'..sid..'@'..node end
local function register(node, sid, row)
  local user = P..'u:'..string.sub(row, 33, 54)
  local old = redis.call('HGET', P..'s:'..node, sid)
  -- Clocks drift: its start may be another one now.
  if old then redis.call('ZREM', P..'all', place(node, sid, old)) end
  redis.call('HSET', P..'s:'..node, sid, row)
  redis.call('ZADD', user, string.sub(row, 1, 16), sid..'@'..node)
  redis.call('ZADD', P..'all', 0, place(node, sid, row))
  lengthen(user, tonumber(string.sub(row, 17, 32)) - now + 60000)
end
local function release(node, sid, row)
  redis.call('ZREM', P..'u:'..string.sub(row, 33, 54), sid..'@'..node)
  redis.call('ZREM', P..'all', place(node, sid, row))
  redis.call('HDEL', P..'s:'..node, sid)
end
local function order(node, sid, why)
  redis.call('HSET', P..'o:'..node, sid, why)
  redis.call('PEXPIRE', P..'o:'..node, 60000)
  redis.call('PUBLISH', P..'hints', 'o '..node)
end
`;

function define(name: string, body: string): Script {
  return defineScript(name, HEAD + body);
}

/**
 * ARGV: deadline, node, session, row, limit (-1 for none), what happens at it, key of the jti or nothing, its time left.
 * Answers OK and whether its user has more than half of what the limit allows, or FULL, or USED.
 */
export const ADMIT = define(
  "admit",
  `
local node, sid, row, limit = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local jti = P..'j:'..ARGV[7]
if ARGV[7] ~= '' then
  local used = redis.call('GET', jti)
  if used and used ~= sid then return {'USED', now} end
end
-- However long it stood still: it lives, because it asks.
leases[node] = true
local user = P..'u:'..string.sub(row, 33, 54)
local function over() return redis.call('ZCARD', user) - limit + 1 end
if limit >= 0 and over() > 0 and not redis.call('ZSCORE', user, sid..'@'..node) then
  for _, member in ipairs(redis.call('ZRANGE', user, 0, 499)) do
    local at = string.find(member, '@', 1, true)
    local id, other = string.sub(member, 1, at - 1), string.sub(member, at + 1)
    if not lives(other) or redis.call('HEXISTS', P..'s:'..other, id) == 0 then
      redis.call('ZREM', user, member)
      -- By the number of its rows the node notices, should it go on.
      local there = redis.call('HGET', P..'s:'..other, id)
      if there then release(other, id, there) end
    end
  end
  if over() > 0 then
    if ARGV[6] == 'refuse-newest' then return {'FULL', now} end
    for _, member in ipairs(redis.call('ZRANGE', user, 0, math.min(over(), 500) - 1)) do
      local at = string.find(member, '@', 1, true)
      redis.call('ZREM', user, member)
      order(string.sub(member, at + 1), string.sub(member, 1, at - 1), 'limit')
    end
  end
end
if ARGV[7] ~= '' then redis.call('SET', jti, sid, 'PX', ARGV[8]) end
register(node, sid, row)
keep(node)
return {'OK', now, limit >= 0 and 2 * redis.call('ZCARD', user) > limit and 1 or 0}`,
);

/** ARGV: deadline, then key of a jti, session and time left by threes. Answers OK, or USED if one was used by another session. */
export const USE = define(
  "use",
  `
local status = 'OK'
for i = 2, #ARGV, 3 do
  local key = P..'j:'..ARGV[i]
  local used = redis.call('GET', key)
  if not used then redis.call('SET', key, ARGV[i + 1], 'PX', ARGV[i + 2])
  else
    lengthen(key, tonumber(ARGV[i + 2]))
    if used ~= ARGV[i + 1] then status = 'USED' end
  end
end
return {status, now}`,
);

/** ARGV: deadline, node, then session and row by twos. */
export const REGISTER = define(
  "register",
  `
for i = 3, #ARGV, 2 do register(ARGV[2], ARGV[i], ARGV[i + 1]) end
keep(ARGV[2])
return {'OK', now}`,
);

/** ARGV: deadline, node, then session and the key of the jti that it did not use, or nothing, by twos. */
export const RELEASE = define(
  "release",
  `
local node = ARGV[2]
for i = 3, #ARGV, 2 do
  local sid, jti = ARGV[i], P..'j:'..ARGV[i + 1]
  local row = redis.call('HGET', P..'s:'..node, sid)
  if row then release(node, sid, row) end
  if ARGV[i + 1] ~= '' and redis.call('GET', jti) == sid then redis.call('DEL', jti) end
  redis.call('HDEL', P..'o:'..node, sid)
end
return {'OK', now}`,
);

/**
 * ARGV: deadline, node, lease in ms, what the node says of itself, a name for an epoch. Answers: whether the node was
 * known, its sessions, the epoch, the versions of revocations and bans, a dead node or nothing, and the orders by twos.
 */
export const BEAT = define(
  "beat",
  `
local node, lease = ARGV[2], tonumber(ARGV[3])
local known = redis.call('ZSCORE', P..'nodes', node) and 1 or 0
redis.call('HSETNX', P..'v', 'epoch', ARGV[5])
-- The clock was set back: nobody who is dead may live on for that.
for _, other in ipairs(redis.call('ZRANGE', P..'nodes', '('..(now + lease), '+inf', 'BYSCORE', 'LIMIT', 0, 100)) do
  redis.call('ZADD', P..'nodes', now + lease, other)
end
redis.call('ZADD', P..'nodes', now + lease, node)
redis.call('HSET', P..'info', node, ARGV[4])
for _, key in ipairs({'nodes', 'info', 'all', 's:'..node}) do redis.call('PEXPIRE', P..key, ${KEPT_MS}) end
lengthen(P..'v', ${KEPT_MS})
local dead = redis.call('ZRANGE', P..'nodes', '-inf', now, 'BYSCORE', 'LIMIT', 0, 1)[1] or ''
local answer = {'OK', now, known, redis.call('HLEN', P..'s:'..node), redis.call('HGET', P..'v', 'epoch'),
  tonumber(redis.call('HGET', P..'v', 'r') or 0), tonumber(redis.call('HGET', P..'v', 'b') or 0), dead}
if redis.call('EXISTS', P..'o:'..node) == 1 then
  for _, part in ipairs(redis.call('HRANDFIELD', P..'o:'..node, 500, 'WITHVALUES')) do table.insert(answer, part) end
end
return answer`,
);

/** ARGV: deadline, node, 1 if it says so itself. Forgets a part of a node whose lease is over; answers how many sessions are left. */
export const SWEEP = define(
  "sweep",
  `
local node = ARGV[2]
if ARGV[3] ~= '1' and lives(node) then return {'OK', now, 0} end
local parts = redis.call('HRANDFIELD', P..'s:'..node, 300, 'WITHVALUES')
for i = 1, #parts, 2 do release(node, parts[i], parts[i + 1]) end
local left = redis.call('HLEN', P..'s:'..node)
if left == 0 then
  redis.call('ZREM', P..'nodes', node)
  redis.call('HDEL', P..'info', node)
  redis.call('DEL', P..'o:'..node)
end
return {'OK', now, left}`,
);

/**
 * ARGV: deadline, list, the most entries that it may have, then id, rank, end and body by fours. An entry takes the place of
 * one with a lower rank. Answers how many there was no room for.
 */
export const PUT = define(
  "put",
  `
local list, most, full = P..ARGV[2], tonumber(ARGV[3]), 0
local past = redis.call('ZRANGE', list..':x', '-inf', now, 'BYSCORE', 'LIMIT', 0, 200)
for _, id in ipairs(past) do
  redis.call('HDEL', list, id)
  redis.call('ZREM', list..':v', id)
  redis.call('ZREM', list..':x', id)
end
local changed = false
for i = 4, #ARGV, 4 do
  local id, rank, ends = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local old = redis.call('HGET', list, id)
  if ends > now and (not old or tonumber(string.sub(old, 1, 16)) < rank) then
    if not old and redis.call('ZCARD', list..':x') >= most then full = full + 1
    else
      redis.call('HSET', list, id, text(rank)..text(ends)..ARGV[i + 3])
      redis.call('ZADD', list..':v', redis.call('HINCRBY', P..'v', ARGV[2], 1), id)
      redis.call('ZADD', list..':x', ends, id)
      changed = true
    end
  end
end
if changed then
  local last = redis.call('ZRANGE', list..':x', -1, -1, 'WITHSCORES')
  local ms = tonumber(last[2]) - now + 60000
  for _, key in ipairs({list, list..':v', list..':x'}) do lengthen(key, ms) end
  lengthen(P..'v', ms + ${KEPT_MS})
  redis.call('PUBLISH', P..'hints', ARGV[2])
end
return {'OK', now, full}`,
);

/** ARGV: deadline, list, the version that is known. Answers the version of the last entry that it tells, whether there are more, then id and value by twos. */
export const CHANGES = define(
  "changes",
  `
local list, answer, size = P..ARGV[2], {'OK', now, tonumber(ARGV[3]), 0}, 0
local found = redis.call('ZRANGE', list..':v', '('..ARGV[3], '+inf', 'BYSCORE', 'LIMIT', 0, 501, 'WITHSCORES')
for i = 1, #found, 2 do
  if i > 1000 or size > 1000000 then answer[4] = 1 break end
  local value = redis.call('HGET', list, found[i])
  answer[3] = tonumber(found[i + 1])
  if value then
    size = size + #value
    table.insert(answer, found[i])
    table.insert(answer, value)
  end
end
return answer`,
);

/** ARGV: deadline, window in ms, violations until a ban, then client and count by twos. Answers the clients that have too many. */
export const VIOLATE = define(
  "violate",
  `
local answer = {'OK', now}
for i = 4, #ARGV, 2 do
  local key = P..'c:'..ARGV[i]
  local count = redis.call('INCRBY', key, ARGV[i + 1])
  if count == tonumber(ARGV[i + 1]) or redis.call('PTTL', key) > tonumber(ARGV[2]) then
    redis.call('PEXPIRE', key, ARGV[2])
  end
  if count >= tonumber(ARGV[3]) then
    redis.call('DEL', key)
    table.insert(answer, ARGV[i])
  end
end
return answer`,
);

/** ARGV: deadline, a client whose violations are forgotten. */
export const FORGET = define("forget", `redis.call('DEL', P..'c:'..ARGV[2]) return {'OK', now}`);

/** ARGV: deadline, where the page before ended, how many. Answers where this one ends (nothing for the last), then place, row by twos. */
export const PAGE = define(
  "page",
  `
local count, answer, size = tonumber(ARGV[3]), {'OK', now, ''}, 0
local from = ARGV[2] == '' and '-' or '('..ARGV[2]
local found = redis.call('ZRANGE', P..'all', from, '+', 'BYLEX', 'LIMIT', 0, count + 1)
for i, member in ipairs(found) do
  if i > count or size > 1000000 then answer[3] = found[i - 1] break end
  local at = string.find(member, '@', 1, true)
  local node = string.sub(member, at + 1)
  local row = redis.call('HGET', P..'s:'..node, string.sub(member, 18, at - 1))
  -- Its row was thrown away, and nobody else can know of it.
  if not row then redis.call('ZREM', P..'all', member) end
  if row and lives(node) then
    size = size + #row
    table.insert(answer, member)
    table.insert(answer, row)
  end
end
return answer`,
);

/** ARGV: deadline, session. Answers its node and its row, or nothing. */
export const FIND = define(
  "find",
  `
for _, node in ipairs(redis.call('ZRANGE', P..'nodes', '('..now, '+inf', 'BYSCORE')) do
  local row = redis.call('HGET', P..'s:'..node, ARGV[2])
  if row then return {'OK', now, node, row} end
end
return {'OK', now}`,
);

/** ARGV: deadline, node, session, why it is to end. */
export const ORDER = define("order", `order(ARGV[2], ARGV[3], ARGV[4]) return {'OK', now}`);

/** ARGV: deadline, node. Answers session and why it is to end, by twos. */
export const ORDERS = define(
  "orders",
  `
local answer = {'OK', now}
if redis.call('EXISTS', P..'o:'..ARGV[2]) == 1 then
  for _, part in ipairs(redis.call('HRANDFIELD', P..'o:'..ARGV[2], 500, 'WITHVALUES')) do table.insert(answer, part) end
end
return answer`,
);

/** ARGV: deadline. Answers node, what is left of its lease, what it says of itself and its sessions, by fours. */
export const NODES = define(
  "nodes",
  `
local answer = {'OK', now}
local found = redis.call('ZRANGE', P..'nodes', '('..now, '+inf', 'BYSCORE', 'LIMIT', 0, 1000, 'WITHSCORES')
for i = 1, #found, 2 do
  table.insert(answer, found[i])
  table.insert(answer, tonumber(found[i + 1]) - now)
  table.insert(answer, redis.call('HGET', P..'info', found[i]) or '{}')
  table.insert(answer, redis.call('HLEN', P..'s:'..found[i]))
end
return answer`,
);

/** ARGV: deadline. Answers which keys Redis throws away when its memory is full, or nothing if none, or if we may not know. */
export const POLICY = define(
  "policy",
  `
local info = redis.pcall('INFO', 'memory')
if type(info) ~= 'string' or string.find(info, 'maxmemory:0[\\r\\n]') then return {'OK', now, ''} end
local policy = string.match(info, 'maxmemory_policy:([%w-]+)')
return {'OK', now, policy and policy ~= 'noeviction' and policy or ''}`,
);

-- What the scripts of topics have in common.
--
-- The position of a topic is a hash:
--   e  the epoch
--   o  the offset of the last event
--   r  the replication id of the server that gave the last epoch
--   n  when what is kept has to be tended next, ms
--   x  how long events were to be kept when it was, ms
--   m  the offset up to which events have ended at t
--   t  a time, ms
--   l  when the last event of a Latest topic ends, ms

local seed = ARGV[1] -- random, makes new epochs
local durable = ARGV[2] == '1'

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- Changes with each start of the server, and when a replica takes its place.
local history = 'durable'
if not durable then
  history = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
end

local hour = 3600000
local latestTime = 24 * hour
local latestMost = 1024

local function newEpoch(t)
  local of = table.concat({ seed, clock[1], clock[2], t.meta, t.e or '' }, ' ')
  t.e = string.sub(redis.sha1hex(of), 1, 12)
  t.r = history
  redis.call('HSET', t.meta, 'e', t.e, 'o', string.format('%.0f', t.o), 'r', t.r)
end

-- outlast makes a key last ms from now, at the least.
local function outlast(key, ms)
  if redis.call('PTTL', key) < ms then
    redis.call('PEXPIRE', key, string.format('%.0f', ms))
  end
end

-- open reads where a topic stands, and begins an epoch where events may have
-- been lost. keys are those of what is kept besides.
local function open(meta, class, keys)
  local m = redis.call('HMGET', meta, 'e', 'o', 'r', 'n', 'x', 'm', 't', 'l')
  local t = { meta = meta, class = class, keys = keys, e = m[1], o = tonumber(m[2] or 0), r = m[3],
    n = tonumber(m[4] or 0), x = tonumber(m[5] or 0), m = tonumber(m[6] or 0), t = tonumber(m[7] or 0) }
  if not t.e then
    -- What is left of an earlier epoch was counted otherwise.
    if #keys > 0 then redis.call('DEL', unpack(keys)) end
    newEpoch(t)
    redis.call('PEXPIRE', meta, 25 * hour)
  elseif t.r ~= history then
    newEpoch(t)
  end
  if class == 'l' and m[8] and tonumber(m[8]) > now and redis.call('EXISTS', unpack(keys)) < 2 then
    redis.call('DEL', unpack(keys)) -- the server made room
    redis.call('HDEL', meta, 'l')
    newEpoch(t)
  end
  return t
end

-- forget drops the events of a Latest topic that have ended, the oldest first.
local function forget(t)
  while true do
    local oldest = redis.call('ZRANGE', t.keys[2], 0, 31)
    if #oldest == 0 then return end
    for _, key in ipairs(oldest) do
      local kept = redis.call('HGET', t.keys[1], key)
      if kept and struct.unpack('>I6', kept, 27) > now then return end
      redis.call('HDEL', t.keys[1], key)
      redis.call('ZREM', t.keys[2], key)
    end
  end
end

-- tend lets go of what has ended, and makes the rest last: not for each event.
local function tend(t, ttl)
  if now < t.n and ttl <= t.x then return end
  local every = hour / 2
  if ttl > 0 and ttl < every then every = ttl end
  if t.class == 'r' then
    if now - t.t >= ttl then
      if t.m > 0 then redis.call('XTRIM', t.keys[1], 'MINID', string.format('%.0f-0', t.m + 1)) end
      t.m, t.t = t.o, now
    end
  elseif t.class == 'l' then
    forget(t)
  end
  for _, key in ipairs(t.keys) do outlast(key, ttl + every) end
  outlast(t.meta, math.max(25 * hour, ttl + 2 * hour))
  t.n, t.x = now + every, ttl
  redis.call('HSET', t.meta, 'n', string.format('%.0f', t.n), 'x', string.format('%.0f', t.x),
    'm', string.format('%.0f', t.m), 't', string.format('%.0f', t.t))
end
